"""Warning events of late, gathered by the object that they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from attrs import define

from candy_core import Json
from candy_kit_kube.json_values import members, text
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import metadata, moment, number
from candy_kubernetes.offenders import Findings, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams


class Event(TypedDict, total=False):
    """What is looked at of an event."""

    metadata: Metadata
    involvedObject: Any
    type: Any
    reason: Any
    message: Any
    count: Any
    series: Any
    firstTimestamp: Any
    lastTimestamp: Any
    eventTime: Any


EVENTS: Final = Resource(plural="events", kind="Event", page=Page[Event], field_selector="type=Warning")
AGE: Final = 3600.0
"""Seconds after which an event is of the past."""
_REASONS: Final = 3
"""Different reasons that are told of one object."""
_MESSAGE: Final = 160
"""Characters of a message."""


@define
class _Reason:
    count: int
    last: float
    message: str


class EventSurvey:
    """Holds against an object that something has warned of it. One object is one offender, however often it was."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._since = now - (AGE if params.age is None else params.age.seconds)
        self._about: dict[str, dict[str, _Reason]] = {}
        self._findings = Findings(stats={"events": 0})

    def see(self, resource: Resource, thing: Mapping[str, Json]) -> None:
        """Look at one event."""
        self._findings.total += 1
        last = _last(thing)
        if last is None or last < self._since or thing.get("type") != "Warning":
            return
        count = max(1, number(thing.get("count")), number(members(thing.get("series")).get("count")))
        self._findings.tally("events", count)
        reasons = self._about.setdefault(_about(thing), {})
        reason = text(thing.get("reason")) or "?"
        message = " ".join(text(thing.get("message"))[:_MESSAGE].split())
        known = reasons.get(reason)
        if known is None:
            reasons[reason] = _Reason(count, last, message)
        else:
            known.count += count
            if last >= known.last:
                known.last, known.message = last, message

    def found(self) -> Findings:
        """What was found."""
        for name, reasons in self._about.items():
            often = sorted(reasons.items(), key=lambda each: (-each[1].count, each[0]))
            faults = tuple(f"{reason} ×{one.count}: {one.message}" for reason, one in often[:_REASONS])
            faults += (f"+{len(often) - _REASONS}",) if len(often) > _REASONS else ()
            count = sum(one.count for one in reasons.values())
            self._findings.add(Offender(name=name, gravity=(float(count),), faults=faults))
        self._about = {}
        return self._findings


def _last(thing: Mapping[str, Json]) -> float | None:
    """When it was seen last. Which of the times is filled depends on who wrote it (Event v1, ``series``)."""
    told = (
        members(thing.get("series")).get("lastObservedTime"),
        thing.get("lastTimestamp"),
        thing.get("eventTime"),
        thing.get("firstTimestamp"),
        metadata(thing).get("creationTimestamp"),
    )
    return next((found for found in map(moment, told) if found is not None), None)


def _about(thing: Mapping[str, Json]) -> str:
    about = members(thing.get("involvedObject"))
    kind, namespace, name = (text(about.get(key)) for key in ("kind", "namespace", "name"))
    return f"{kind or '?'} {namespace}/{name}" if namespace else f"{kind or '?'} {name}"
