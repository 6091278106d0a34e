"""Reading an object of Kubernetes, any part of which may be missing or of another kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from candy_core import Json
from candy_kit_kube.json_values import elements, members, text, time


def metadata(thing: Mapping[str, Json]) -> Mapping[str, Json]:
    """Its ``metadata``."""
    return members(thing.get("metadata"))


def spec(thing: Mapping[str, Json]) -> Mapping[str, Json]:
    """Its ``spec``."""
    return members(thing.get("spec"))


def status(thing: Mapping[str, Json]) -> Mapping[str, Json]:
    """Its ``status``."""
    return members(thing.get("status"))


def name_of(thing: Mapping[str, Json]) -> str:
    """``namespace/name``, or the name of what is in no namespace."""
    data = metadata(thing)
    name, namespace = text(data.get("name")), text(data.get("namespace"))
    return f"{namespace}/{name}" if namespace else name


def ending(thing: Mapping[str, Json]) -> bool:
    """Whether it is being deleted."""
    return metadata(thing).get("deletionTimestamp") is not None


def number(value: Json, default: int = 0) -> int:
    """A whole number. Kubernetes leaves out what is 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def moment(value: Json) -> float | None:
    """A time in Unix seconds; ``None`` where there is none."""
    found = time(value)
    return None if found is None or found.tzinfo is None else found.timestamp()


def since(value: Json, now: float) -> float:
    """Seconds since a time; 0 where there is none, and for one to come."""
    found = moment(value)
    return 0.0 if found is None else max(0.0, now - found)


def conditions(thing: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """The conditions of its status."""
    yield from map(members, elements(status(thing).get("conditions")))


def condition(thing: Mapping[str, Json], kind: str) -> Mapping[str, Json] | None:
    """One of them; ``None`` where nobody has said anything about it."""
    return next((each for each in conditions(thing) if each.get("type") == kind), None)


def because(one: Mapping[str, Json], otherwise: str = "") -> str:
    """Reason and message of a condition or of a state, as far as there are any."""
    reason, message = text(one.get("reason")), text(one.get("message"))
    return f"{reason}: {message}" if reason and message else reason or message or otherwise
