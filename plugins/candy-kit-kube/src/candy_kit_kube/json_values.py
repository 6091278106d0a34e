"""Reading JSON that may lack any field, or have a value of another type: each function falls back to an empty value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from candy_core import Json


def as_object(value: Json) -> Mapping[str, Json]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> Sequence[Json]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else ()


def as_text(value: Json) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def as_time(value: Json) -> datetime | None:
    """The value as a time if it is a string in RFC 3339, as Kubernetes writes it, else ``None``."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def text_members(value: Json) -> dict[str, str]:
    """The members of an object whose values are strings: labels, annotations."""
    return {key: member for key, member in as_object(value).items() if isinstance(member, str)}
