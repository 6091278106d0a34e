"""Reading JSON values that somebody else wrote, where any part may be missing or of another kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from candy_core import Json


def members(value: Json) -> Mapping[str, Json]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def elements(value: Json) -> Sequence[Json]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else ()


def text(value: Json) -> str:
    """The value where it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def texts(value: Json) -> dict[str, str]:
    """The members of an object that are texts: labels, annotations."""
    return {key: member for key, member in members(value).items() if isinstance(member, str)}


def time(value: Json) -> datetime | None:
    """A time as Kubernetes writes it (RFC 3339), ``None`` where there is none."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
