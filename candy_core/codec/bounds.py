"""Checks the limits of a field with ``Annotated[..., Meta(...)]``."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from msgspec import Meta

from candy_core.codec.problems import Mismatch


def check(value: Any, meta: Meta) -> None:
    """Raise :class:`Mismatch` if ``value`` is outside of the limits. The message has the limits and not the value."""
    if meta.ge is not None and value < meta.ge:
        raise Mismatch(f"expected at least {_figure(meta.ge)}{_most(meta)}")
    if meta.gt is not None and value <= meta.gt:
        raise Mismatch(f"expected more than {_figure(meta.gt)}{_most(meta)}")
    if meta.le is not None and value > meta.le:
        raise Mismatch(f"expected at most {_figure(meta.le)}")
    if meta.lt is not None and value >= meta.lt:
        raise Mismatch(f"expected less than {_figure(meta.lt)}")
    if meta.min_length is not None and len(value) < meta.min_length:
        raise Mismatch(f"expected at least {meta.min_length} {_unit(value)}")
    if meta.max_length is not None and len(value) > meta.max_length:
        raise Mismatch(f"expected at most {meta.max_length} {_unit(value)}")
    if meta.pattern is not None and not _compiled(meta.pattern).search(value):
        raise Mismatch(f"expected a text that matches {meta.pattern}")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("$", r"\Z"))  # in Python $ also matches before a trailing line feed


def _unit(value: object) -> str:
    return "character(s)" if isinstance(value, str) else "element(s)"


def _most(meta: Meta) -> str:
    return "" if meta.le is None else f" and at most {_figure(meta.le)}"


def _figure(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
