"""Deployments, DaemonSets and StatefulSets: whether there is what their ``spec`` asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, TypedDict

from candy_core import Json
from candy_kit_kube.json_values import members, text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import because, condition, ending, metadata, name_of, number, spec, status
from candy_kubernetes.offenders import Fault, Findings, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams


class WorkloadSpec(TypedDict, total=False):
    """What is looked at of a workload's ``spec``: not its template."""

    replicas: Any
    paused: Any
    updateStrategy: Any


class Workload(TypedDict, total=False):
    """What is looked at of a workload."""

    metadata: Metadata
    spec: WorkloadSpec
    status: Any


DEPLOYMENTS: Final = Resource(group="apps", plural="deployments", kind="Deployment", page=Page[Workload])
DAEMON_SETS: Final = Resource(group="apps", plural="daemonsets", kind="DaemonSet", page=Page[Workload])
STATEFUL_SETS: Final = Resource(group="apps", plural="statefulsets", kind="StatefulSet", page=Page[Workload])

Thing: TypeAlias = Mapping[str, Json]


class WorkloadSurvey:
    """Holds against a workload what is missing of it, and that nobody knows where its status is an old one."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._findings = Findings(
            stats={"deployments": 0, "daemonsets": 0, "statefulsets": 0, "scaled_to_zero": 0, "paused": 0}
        )

    def see(self, resource: Resource, thing: Thing) -> None:
        """Look at one workload."""
        if ending(thing):
            return
        self._findings.total += 1
        self._findings.tally(resource.plural)
        self._findings.tally("paused", int(spec(thing).get("paused") is True))
        wanted = wanted_of(resource, thing)
        if wanted == 0:
            self._findings.tally("scaled_to_zero")
            return
        faults = tuple(faults_of(resource, thing, wanted))
        if faults:
            missing = 1.0 if wanted is None else 1.0 - min(1.0, _working(resource, thing) / wanted)
            name = f"{resource.kind} {name_of(thing)}"
            self._findings.add(Offender(name=name, gravity=(missing, float(wanted or 0)), faults=faults))

    def found(self) -> Findings:
        """What was found."""
        return self._findings


def wanted_of(resource: Resource, thing: Thing) -> int | None:
    """How many pods there have to be; ``None`` where nobody has said yet (a DaemonSet's controller does)."""
    if resource is DAEMON_SETS:
        return None if _unseen(thing) else number(status(thing).get("desiredNumberScheduled"))
    return number(spec(thing).get("replicas"), 1)


def faults_of(resource: Resource, thing: Thing, wanted: int | None) -> Iterator[Fault]:
    """What is wrong with a workload that has to have pods."""
    if unseen := _unseen(thing):
        yield unseen
        return
    if wanted is None:
        return
    if resource is DEPLOYMENTS:
        yield from _of_deployment(thing, wanted)
    elif resource is DAEMON_SETS:
        yield from _of_daemon_set(thing, wanted)
    else:
        yield from _of_stateful_set(thing, wanted)


def _unseen(thing: Thing) -> Fault | None:
    """A status that is about an older ``spec``, or about none, says nothing (Kubernetes API conventions)."""
    generation = number(metadata(thing).get("generation"))
    seen = status(thing).get("observedGeneration")
    if seen is None:
        return Fault(texts.NO_STATUS)
    return Fault(texts.UNSEEN, {"generation": generation}) if number(seen) < generation else None


def _of_deployment(thing: Thing, wanted: int) -> Iterator[Fault]:
    told = status(thing)
    yield from _short_of(texts.AVAILABLE, told.get("availableReplicas"), wanted)
    progress = condition(thing, "Progressing") or {}
    if progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded":
        yield Fault(texts.STUCK, {"reason": because(progress)})
    elif spec(thing).get("paused") is not True:
        yield from _short_of(texts.UPDATED, told.get("updatedReplicas"), wanted)
    failure = condition(thing, "ReplicaFailure") or {}
    if failure.get("status") == "True":
        yield Fault(texts.NO_PODS, {"reason": because(failure, "?")})


def _of_daemon_set(thing: Thing, wanted: int) -> Iterator[Fault]:
    told = status(thing)
    ready = list(_short_of(texts.READY, told.get("numberReady"), wanted))
    yield from ready or _short_of(texts.AVAILABLE, told.get("numberAvailable"), wanted)
    if _rolls(thing):
        yield from _short_of(texts.UPDATED, told.get("updatedNumberScheduled"), wanted)


def _of_stateful_set(thing: Thing, wanted: int) -> Iterator[Fault]:
    told = status(thing)
    yield from _short_of(texts.READY, told.get("readyReplicas"), wanted)
    update = text(told.get("updateRevision"))
    if _rolls(thing) and update and update != text(told.get("currentRevision")):
        strategy = members(members(spec(thing).get("updateStrategy")).get("rollingUpdate"))
        yield from _short_of(texts.UPDATED, told.get("updatedReplicas"), wanted - number(strategy.get("partition")))


def _rolls(thing: Thing) -> bool:
    """Whether its controller replaces old pods by itself (``OnDelete``: somebody has to delete them)."""
    return text(members(spec(thing).get("updateStrategy")).get("type")) != "OnDelete"


def _short_of(msgid: str, found: Json, wanted: int) -> Iterator[Fault]:
    if number(found) < wanted:
        yield Fault(msgid, {"count": number(found), "wanted": wanted})


def _working(resource: Resource, thing: Thing) -> int:
    if _unseen(thing):
        return 0
    key = {DEPLOYMENTS: "availableReplicas", DAEMON_SETS: "numberReady"}.get(resource, "readyReplicas")
    return number(status(thing).get(key))
