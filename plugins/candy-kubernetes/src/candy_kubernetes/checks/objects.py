"""Reads fields of a Kubernetes object. Any of them may be missing or have another type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from candy_core import Json
from candy_kit_kube import as_list, as_object, as_text, as_time


def metadata(obj: Mapping[str, Json]) -> Mapping[str, Json]:
    """The object's ``metadata``."""
    return as_object(obj.get("metadata"))


def spec(obj: Mapping[str, Json]) -> Mapping[str, Json]:
    """The object's ``spec``."""
    return as_object(obj.get("spec"))


def status(obj: Mapping[str, Json]) -> Mapping[str, Json]:
    """The object's ``status``."""
    return as_object(obj.get("status"))


def full_name(obj: Mapping[str, Json]) -> str:
    """``namespace/name``, or only the name of an object without a namespace."""
    data = metadata(obj)
    name, namespace = as_text(data.get("name")), as_text(data.get("namespace"))
    return f"{namespace}/{name}" if namespace else name


def is_terminating(obj: Mapping[str, Json]) -> bool:
    """Whether the object is being deleted."""
    return metadata(obj).get("deletionTimestamp") is not None


def as_int(value: Json, default: int = 0) -> int:
    """The value if it is an integer, else ``default``. Kubernetes leaves out fields that are 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def unix_time(value: Json) -> float | None:
    """A time in Unix seconds, ``None`` if the value is not a time."""
    found = as_time(value)
    return None if found is None or found.tzinfo is None else found.timestamp()


def seconds_since(value: Json, now: float) -> float:
    """Seconds since a time; 0 if the value is not a time, or lies in the future."""
    found = unix_time(value)
    return 0.0 if found is None else max(0.0, now - found)


def conditions(obj: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """The conditions in the object's ``status``."""
    yield from map(as_object, as_list(status(obj).get("conditions")))


def condition(obj: Mapping[str, Json], kind: str) -> Mapping[str, Json] | None:
    """The condition of that type, ``None`` if the object does not have it."""
    return next((each for each in conditions(obj) if each.get("type") == kind), None)


def explanation(condition: Mapping[str, Json], default: str = "") -> str:
    """The reason and the message of a condition or of a container's state, as far as present, else ``default``."""
    reason, message = as_text(condition.get("reason")), as_text(condition.get("message"))
    return f"{reason}: {message}" if reason and message else reason or message or default
