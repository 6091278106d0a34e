"""Deployments, DaemonSets and StatefulSets: whether they have the pods that their ``spec`` requires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, TypedDict

from candy_core import Json
from candy_kit_kube import as_object, as_text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import (
    as_int,
    condition,
    explanation,
    full_name,
    is_terminating,
    metadata,
    spec,
    status,
)
from candy_kubernetes.offenders import Findings, Issue, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams


class WorkloadSpec(TypedDict, total=False):
    """The fields of a workload's ``spec`` that are read: not its template."""

    replicas: Any
    paused: Any
    updateStrategy: Any


class Workload(TypedDict, total=False):
    """The fields of a workload that are read."""

    metadata: Metadata
    spec: WorkloadSpec
    status: Any


DEPLOYMENTS: Final = Resource(group="apps", plural="deployments", kind="Deployment", page=Page[Workload])
DAEMON_SETS: Final = Resource(group="apps", plural="daemonsets", kind="DaemonSet", page=Page[Workload])
STATEFUL_SETS: Final = Resource(group="apps", plural="statefulsets", kind="StatefulSet", page=Page[Workload])

Obj: TypeAlias = Mapping[str, Json]


class WorkloadScan:
    """An offender is a workload that lacks pods, or whose status is missing or out of date."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._findings = Findings(
            stats={"deployments": 0, "daemonsets": 0, "statefulsets": 0, "scaled_to_zero": 0, "paused": 0}
        )

    def inspect(self, resource: Resource, obj: Obj) -> None:
        """Check one workload."""
        if is_terminating(obj):
            return
        self._findings.total += 1
        self._findings.tally(resource.plural)
        self._findings.tally("paused", int(spec(obj).get("paused") is True))
        wanted = wanted_pods(resource, obj)
        if wanted == 0:
            self._findings.tally("scaled_to_zero")
            return
        issues = tuple(issues_of(resource, obj, wanted))
        if issues:
            missing = 1.0 if wanted is None else 1.0 - min(1.0, _available(resource, obj) / wanted)
            name = f"{resource.kind} {full_name(obj)}"
            self._findings.add(Offender(name=name, severity=(missing, float(wanted or 0)), issues=issues))

    def findings(self) -> Findings:
        """The offenders found."""
        return self._findings


def wanted_pods(resource: Resource, obj: Obj) -> int | None:
    """How many pods are required; ``None`` while that is unknown (for a DaemonSet its controller computes it)."""
    if resource is DAEMON_SETS:
        return None if _outdated_status(obj) else as_int(status(obj).get("desiredNumberScheduled"))
    return as_int(spec(obj).get("replicas"), 1)


def issues_of(resource: Resource, obj: Obj, wanted: int | None) -> Iterator[Issue]:
    """The issues of a workload that must have pods."""
    if outdated := _outdated_status(obj):
        yield outdated
        return
    if wanted is None:
        return
    if resource is DEPLOYMENTS:
        yield from _deployment_issues(obj, wanted)
    elif resource is DAEMON_SETS:
        yield from _daemon_set_issues(obj, wanted)
    else:
        yield from _stateful_set_issues(obj, wanted)


def _outdated_status(obj: Obj) -> Issue | None:
    """The issue if the status is missing, or belongs to an older ``spec`` (Kubernetes API conventions)."""
    generation = as_int(metadata(obj).get("generation"))
    observed = status(obj).get("observedGeneration")
    if observed is None:
        return Issue(texts.NO_STATUS)
    return Issue(texts.OUTDATED_STATUS, {"generation": generation}) if as_int(observed) < generation else None


def _deployment_issues(obj: Obj, wanted: int) -> Iterator[Issue]:
    current = status(obj)
    yield from _shortage(texts.AVAILABLE, current.get("availableReplicas"), wanted)
    progress = condition(obj, "Progressing") or {}
    if progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded":
        yield Issue(texts.STUCK, {"reason": explanation(progress)})
    elif spec(obj).get("paused") is not True:
        yield from _shortage(texts.UPDATED, current.get("updatedReplicas"), wanted)
    failure = condition(obj, "ReplicaFailure") or {}
    if failure.get("status") == "True":
        yield Issue(texts.NO_PODS, {"reason": explanation(failure, "?")})


def _daemon_set_issues(obj: Obj, wanted: int) -> Iterator[Issue]:
    current = status(obj)
    ready = list(_shortage(texts.READY, current.get("numberReady"), wanted))
    yield from ready or _shortage(texts.AVAILABLE, current.get("numberAvailable"), wanted)
    if _rolls_by_itself(obj):
        yield from _shortage(texts.UPDATED, current.get("updatedNumberScheduled"), wanted)


def _stateful_set_issues(obj: Obj, wanted: int) -> Iterator[Issue]:
    current = status(obj)
    yield from _shortage(texts.READY, current.get("readyReplicas"), wanted)
    update = as_text(current.get("updateRevision"))
    if _rolls_by_itself(obj) and update and update != as_text(current.get("currentRevision")):
        strategy = as_object(as_object(spec(obj).get("updateStrategy")).get("rollingUpdate"))
        yield from _shortage(texts.UPDATED, current.get("updatedReplicas"), wanted - as_int(strategy.get("partition")))


def _rolls_by_itself(obj: Obj) -> bool:
    """Whether its controller replaces old pods (with ``OnDelete`` they have to be deleted by hand)."""
    return as_text(as_object(spec(obj).get("updateStrategy")).get("type")) != "OnDelete"


def _shortage(msgid: str, found: Json, wanted: int) -> Iterator[Issue]:
    if as_int(found) < wanted:
        yield Issue(msgid, {"count": as_int(found), "wanted": wanted})


def _available(resource: Resource, obj: Obj) -> int:
    if _outdated_status(obj):
        return 0
    key = {DEPLOYMENTS: "availableReplicas", DAEMON_SETS: "numberReady"}.get(resource, "readyReplicas")
    return as_int(status(obj).get(key))
