"""Recent warning events, grouped by the object that they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from attrs import define

from candy_core import Json
from candy_kit_kube import as_object, as_text
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import as_int, metadata, unix_time
from candy_kubernetes.offenders import Findings, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams


class Event(TypedDict, total=False):
    """The fields of an event that are read."""

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
"""How many seconds an event counts, by default."""
_MAX_REASONS: Final = 3
"""Different reasons that are shown for one object."""
_MAX_MESSAGE: Final = 160
"""Characters of a message."""


@define
class _Reason:
    count: int
    last: float
    message: str


class EventScan:
    """An offender is an object with warning events, however many they are."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._since = now - (AGE if params.age is None else params.age.seconds)
        self._reasons: dict[str, dict[str, _Reason]] = {}
        self._findings = Findings(stats={"events": 0})

    def inspect(self, resource: Resource, obj: Mapping[str, Json]) -> None:
        """Check one event."""
        self._findings.total += 1
        last = _last(obj)
        if last is None or last < self._since or obj.get("type") != "Warning":
            return
        count = max(1, as_int(obj.get("count")), as_int(as_object(obj.get("series")).get("count")))
        self._findings.tally("events", count)
        reasons = self._reasons.setdefault(_subject(obj), {})
        reason = as_text(obj.get("reason")) or "?"
        message = " ".join(as_text(obj.get("message"))[:_MAX_MESSAGE].split())
        known = reasons.get(reason)
        if known is None:
            reasons[reason] = _Reason(count, last, message)
        else:
            known.count += count
            if last >= known.last:
                known.last, known.message = last, message

    def findings(self) -> Findings:
        """The offenders found."""
        for name, reasons in self._reasons.items():
            by_count = sorted(reasons.items(), key=lambda each: (-each[1].count, each[0]))
            issues = tuple(f"{reason} ×{one.count}: {one.message}" for reason, one in by_count[:_MAX_REASONS])
            issues += (f"+{len(by_count) - _MAX_REASONS}",) if len(by_count) > _MAX_REASONS else ()
            count = sum(one.count for one in reasons.values())
            self._findings.add(Offender(name=name, severity=(float(count),), issues=issues))
        self._reasons = {}
        return self._findings


def _last(obj: Mapping[str, Json]) -> float | None:
    """When the event was last seen. Which of the fields is set depends on the client that wrote it (Event v1)."""
    candidates = (
        as_object(obj.get("series")).get("lastObservedTime"),
        obj.get("lastTimestamp"),
        obj.get("eventTime"),
        obj.get("firstTimestamp"),
        metadata(obj).get("creationTimestamp"),
    )
    return next((found for found in map(unix_time, candidates) if found is not None), None)


def _subject(obj: Mapping[str, Json]) -> str:
    subject = as_object(obj.get("involvedObject"))
    kind, namespace, name = (as_text(subject.get(key)) for key in ("kind", "namespace", "name"))
    return f"{kind or '?'} {namespace}/{name}" if namespace else f"{kind or '?'} {name}"
