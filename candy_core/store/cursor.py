"""Where a page of a listing ends: an opaque text for the caller, a sequence number for the store."""

from __future__ import annotations

import base64

from candy_core.errors import Invalid, Problem


def to_cursor(sequence: int) -> str:
    """The cursor of the page that starts below ``sequence``."""
    return base64.urlsafe_b64encode(str(sequence).encode()).decode()


def from_cursor(cursor: str | None) -> int | None:
    """The sequence number that a cursor stands for. Raises ``Invalid`` for a text that is not a cursor."""
    if cursor is None:
        return None
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()).decode())
    except ValueError:
        problem = Problem("$.cursor", "expected the next_cursor of an earlier page")
        raise Invalid([problem]) from None
