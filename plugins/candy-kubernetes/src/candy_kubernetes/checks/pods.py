"""Pods: whether they run, are ready, and end when they should."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypedDict

from candy_core import Json
from candy_kit_kube import as_list, as_object, as_text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import (
    as_int,
    condition,
    explanation,
    full_name,
    is_terminating,
    metadata,
    seconds_since,
    status,
    unix_time,
)
from candy_kubernetes.offenders import Findings, Issue, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams
from candy_kubernetes.span import age


class PodStatus(TypedDict, total=False):
    """The fields of a pod's ``status`` that are read."""

    phase: Any
    reason: Any
    message: Any
    startTime: Any
    conditions: Any
    initContainerStatuses: Any
    containerStatuses: Any


class Pod(TypedDict, total=False):
    """The fields of a pod that are read."""

    metadata: Metadata
    status: PodStatus


PODS: Final = Resource(plural="pods", kind="Pod", page=Page[Pod])
GRACE: Final = 300.0
"""Seconds that a pod may take to start, to become ready again, and to disappear after its deletion deadline."""

_STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Reasons of waiting containers that are not an error."""
# The worst first.
_FAILED, _CRASHING, _LOST, _PENDING, _NOT_READY, _OVERDUE, _RESTARTS = range(7, 0, -1)


class PodScan:
    """An offender is a pod that failed, cannot start, restarts too often, or takes too long to start or to end."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._grace = GRACE if params.grace is None else params.grace.seconds
        self._restarts = params.restarts
        self._now = now
        self._findings = Findings(
            stats={"running": 0, "pending": 0, "succeeded": 0, "failed": 0, "unknown": 0, "restarts": 0}
        )

    def inspect(self, resource: Resource, obj: Mapping[str, Json]) -> None:
        """Check one pod."""
        phase = as_text(status(obj).get("phase")) or "Unknown"
        containers = list(_containers(obj))
        restarts = sum(as_int(each.get("restartCount")) for each in containers)
        self._findings.total += 1
        self._findings.tally(phase.lower())
        self._findings.tally("restarts", restarts)
        if phase == "Succeeded":
            return
        if is_terminating(obj):  # it need not be ready any more
            found = list(self._overdue(obj))
        else:
            found = [*self._phase(obj, phase), *_stopped(containers, phase)]
            if not found and phase == "Running":
                found += self._unready(obj)
        if self._restarts is not None and restarts > self._restarts:
            found.append((_RESTARTS, Issue(texts.POD_RESTARTS, {"count": restarts})))
        if found:
            severity = (float(max(rank for rank, _ in found)), float(restarts))
            issues = tuple(issue for _, issue in found)
            self._findings.add(Offender(name=full_name(obj), severity=severity, issues=issues))

    def findings(self) -> Findings:
        """The offenders found."""
        return self._findings

    def _phase(self, obj: Mapping[str, Json], phase: str) -> Iterator[tuple[int, Issue]]:
        if phase == "Failed":
            yield _FAILED, Issue(texts.POD_FAILED, {"reason": explanation(status(obj), "?")})
        elif phase == "Pending":
            duration = seconds_since(metadata(obj).get("creationTimestamp"), self._now)
            if duration >= self._grace:
                scheduled = condition(obj, "PodScheduled") or {}
                reason = explanation(scheduled) if scheduled.get("status") == "False" else ""
                msgid = texts.POD_PENDING_BECAUSE if reason else texts.POD_PENDING
                yield _PENDING, Issue(msgid, {"age": age(duration), "reason": reason})
        elif phase != "Running":
            yield _LOST, Issue(texts.POD_LOST, {"phase": phase})

    def _unready(self, obj: Mapping[str, Json]) -> Iterator[tuple[int, Issue]]:
        ready = condition(obj, "Ready")
        if ready is None or ready.get("status") == "True":
            return
        duration = seconds_since(ready.get("lastTransitionTime") or status(obj).get("startTime"), self._now)
        if duration >= self._grace:
            yield _NOT_READY, Issue(texts.POD_NOT_READY, {"age": age(duration)})

    def _overdue(self, obj: Mapping[str, Json]) -> Iterator[tuple[int, Issue]]:
        # The deletionTimestamp is the deadline: it includes the pod's own grace period.
        deadline = unix_time(metadata(obj).get("deletionTimestamp"))
        if deadline is not None and self._now - deadline >= self._grace and self._now > deadline:
            yield _OVERDUE, Issue(texts.POD_OVERDUE, {"age": age(self._now - deadline)})


def _containers(obj: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    for key in ("initContainerStatuses", "containerStatuses"):
        yield from map(as_object, as_list(status(obj).get(key)))


def _stopped(containers: list[Mapping[str, Json]], phase: str) -> Iterator[tuple[int, Issue]]:
    for each in containers:
        state = as_object(each.get("state"))
        waiting, ended = as_object(state.get("waiting")), as_object(state.get("terminated"))
        name = as_text(each.get("name"))
        if (reason := as_text(waiting.get("reason"))) not in _STARTING:
            yield _CRASHING, Issue(texts.POD_WAITS, {"container": name, "reason": explanation(waiting, reason)})
        elif phase != "Failed" and (code := as_int(ended.get("exitCode"))):
            values = {"container": name, "code": code, "reason": explanation(ended, "?")}
            yield _CRASHING, Issue(texts.POD_ENDED, values)
