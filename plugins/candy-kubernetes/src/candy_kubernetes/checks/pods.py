"""Pods: whether they run as they should."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypedDict

from candy_core import Json
from candy_kit_kube.json_values import elements, members, text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import because, condition, ending, metadata, moment, name_of, number, since, status
from candy_kubernetes.offenders import Fault, Findings, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams
from candy_kubernetes.span import age


class PodStatus(TypedDict, total=False):
    """What is looked at of a pod's ``status``."""

    phase: Any
    reason: Any
    message: Any
    startTime: Any
    conditions: Any
    initContainerStatuses: Any
    containerStatuses: Any


class Pod(TypedDict, total=False):
    """What is looked at of a pod."""

    metadata: Metadata
    status: PodStatus


PODS: Final = Resource(plural="pods", kind="Pod", page=Page[Pod])
GRACE: Final = 300.0
"""Seconds that a pod may take to begin, to be ready again, and to be gone once it should be."""

_ON_ITS_WAY: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Why a container waits where nothing is wrong yet."""
# What is graver than what.
_FAILED, _CRASHING, _LOST, _PENDING, _NOT_READY, _STAYS, _RESTARTS = range(7, 0, -1)


class PodSurvey:
    """Holds against a pod that it failed, waits for what will not come, restarts, or is on its way for too long."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._grace = GRACE if params.grace is None else params.grace.seconds
        self._restarts = params.restarts
        self._now = now
        self._findings = Findings(
            stats={"running": 0, "pending": 0, "succeeded": 0, "failed": 0, "unknown": 0, "restarts": 0}
        )

    def see(self, resource: Resource, thing: Mapping[str, Json]) -> None:
        """Look at one pod."""
        phase = text(status(thing).get("phase")) or "Unknown"
        containers = list(_containers(thing))
        restarts = sum(number(each.get("restartCount")) for each in containers)
        self._findings.total += 1
        self._findings.tally(phase.lower())
        self._findings.tally("restarts", restarts)
        if phase == "Succeeded":
            return
        if ending(thing):  # what is on its way out need not work any more
            held = list(self._ending(thing))
        else:
            held = [*self._phase(thing, phase), *_stopped(containers, phase)]
            if not held and phase == "Running":
                held += self._unready(thing)
        if self._restarts is not None and restarts > self._restarts:
            held.append((_RESTARTS, Fault(texts.POD_RESTARTS, {"count": restarts})))
        if held:
            gravity = (float(max(grave for grave, _ in held)), float(restarts))
            faults = tuple(fault for _, fault in held)
            self._findings.add(Offender(name=name_of(thing), gravity=gravity, faults=faults))

    def found(self) -> Findings:
        """What was found."""
        return self._findings

    def _phase(self, thing: Mapping[str, Json], phase: str) -> Iterator[tuple[int, Fault]]:
        if phase == "Failed":
            yield _FAILED, Fault(texts.POD_FAILED, {"reason": because(status(thing), "?")})
        elif phase == "Pending":
            lasted = since(metadata(thing).get("creationTimestamp"), self._now)
            if lasted >= self._grace:
                scheduled = condition(thing, "PodScheduled") or {}
                reason = because(scheduled) if scheduled.get("status") == "False" else ""
                msgid = texts.POD_PENDING_BECAUSE if reason else texts.POD_PENDING
                yield _PENDING, Fault(msgid, {"age": age(lasted), "reason": reason})
        elif phase != "Running":
            yield _LOST, Fault(texts.POD_LOST, {"phase": phase})

    def _unready(self, thing: Mapping[str, Json]) -> Iterator[tuple[int, Fault]]:
        ready = condition(thing, "Ready")
        if ready is None or ready.get("status") == "True":
            return
        lasted = since(ready.get("lastTransitionTime") or status(thing).get("startTime"), self._now)
        if lasted >= self._grace:
            yield _NOT_READY, Fault(texts.POD_NOT_READY, {"age": age(lasted)})

    def _ending(self, thing: Mapping[str, Json]) -> Iterator[tuple[int, Fault]]:
        # The time of a deletion is when the pod has to be gone, its own grace among it.
        gone_at = moment(metadata(thing).get("deletionTimestamp"))
        if gone_at is not None and self._now - gone_at >= self._grace and self._now > gone_at:
            yield _STAYS, Fault(texts.POD_STAYS, {"age": age(self._now - gone_at)})


def _containers(thing: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    for key in ("initContainerStatuses", "containerStatuses"):
        yield from map(members, elements(status(thing).get(key)))


def _stopped(containers: list[Mapping[str, Json]], phase: str) -> Iterator[tuple[int, Fault]]:
    for each in containers:
        state = members(each.get("state"))
        waiting, ended = members(state.get("waiting")), members(state.get("terminated"))
        name = text(each.get("name"))
        if (reason := text(waiting.get("reason"))) not in _ON_ITS_WAY:
            yield _CRASHING, Fault(texts.POD_WAITS, {"container": name, "reason": because(waiting, reason)})
        elif phase != "Failed" and (code := number(ended.get("exitCode"))):
            values = {"container": name, "code": code, "reason": because(ended, "?")}
            yield _CRASHING, Fault(texts.POD_ENDED, values)
