"""Nodes: whether they are ready, and what they suffer from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from candy_core import Json
from candy_kit_kube.json_values import text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import because, conditions, metadata, since, spec
from candy_kubernetes.offenders import Fault, Findings, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams


class NodeSpec(TypedDict, total=False):
    """What is looked at of a node's ``spec``."""

    unschedulable: Any


class NodeStatus(TypedDict, total=False):
    """What is looked at of a node's ``status``: not its images."""

    conditions: Any
    capacity: Any


class Node(TypedDict, total=False):
    """What is looked at of a node."""

    metadata: Metadata
    spec: NodeSpec
    status: NodeStatus


NODES: Final = Resource(plural="nodes", kind="Node", page=Page[Node], namespaced=False)

BAD_WHEN_TRUE: Final = frozenset(
    {
        # The kubelet's own (Kubernetes documentation, "Node Status").
        *("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"),
        # The node problem detector's.
        *("KernelDeadlock", "ReadonlyFilesystem", "CorruptDockerOverlay2"),
        *("FrequentKubeletRestart", "FrequentDockerRestart", "FrequentContainerdRestart"),
        "FrequentUnregisterNetDevice",
    }
)
"""Conditions that mean harm while they hold. Of one that is not known nobody can tell which way round it is."""


class NodeSurvey:
    """Holds against a node that it is not ready, or under pressure, or (where asked for) cordoned."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._cordoned = bool(params.cordoned)
        self._now = now
        self._findings = Findings(stats={"not_ready": 0, "pressure": 0, "cordoned": 0})

    def see(self, resource: Resource, thing: Mapping[str, Json]) -> None:
        """Look at one node."""
        self._findings.total += 1
        readiness: Fault | None = Fault(texts.NODE_NEVER_READY)
        longest = 0.0
        pressures = []
        for condition in conditions(thing):
            kind, status = text(condition.get("type")), text(condition.get("status"))
            when = text(condition.get("lastTransitionTime")) or "?"
            if kind == "Ready":
                longest = since(condition.get("lastTransitionTime"), self._now)
                msgid = texts.NODE_NOT_READY if status == "False" else texts.NODE_SILENT
                values = {"since": when, "reason": because(condition, "?")}
                readiness = None if status == "True" else Fault(msgid, values)
            elif kind in BAD_WHEN_TRUE and status == "True":
                pressures.append(Fault(texts.NODE_CONDITION, {"condition": kind, "since": when}))
        closed = spec(thing).get("unschedulable") is True
        for name, holds in (("not_ready", readiness), ("pressure", pressures), ("cordoned", closed)):
            self._findings.tally(name, int(bool(holds)))
        faults = [*([readiness] if readiness else []), *pressures]
        if closed and (faults or self._cordoned):
            faults.append(Fault(texts.NODE_CORDONED))
        if faults:
            name = text(metadata(thing).get("name"))
            gravity = (float(readiness is not None), float(len(pressures)), longest if readiness else 0.0)
            self._findings.add(Offender(name=name, gravity=gravity, faults=tuple(faults)))

    def found(self) -> Findings:
        """What was found."""
        return self._findings
