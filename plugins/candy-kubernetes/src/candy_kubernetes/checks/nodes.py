"""Nodes: whether they are ready, and which other conditions they report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from candy_core import Json
from candy_kit_kube import as_text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import conditions, explanation, metadata, seconds_since, spec
from candy_kubernetes.offenders import Findings, Issue, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams


class NodeSpec(TypedDict, total=False):
    """The fields of a node's ``spec`` that are read."""

    unschedulable: Any


class NodeStatus(TypedDict, total=False):
    """The fields of a node's ``status`` that are read: not its images."""

    conditions: Any
    capacity: Any


class Node(TypedDict, total=False):
    """The fields of a node that are read."""

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
"""Conditions that are bad while they are true. Other conditions may be good or bad, and are ignored."""


class NodeScan:
    """An offender is a node that is not ready, is under pressure, or (if the params say so) is cordoned."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._cordoned = bool(params.cordoned)
        self._now = now
        self._findings = Findings(stats={"not_ready": 0, "pressure": 0, "cordoned": 0})

    def inspect(self, resource: Resource, obj: Mapping[str, Json]) -> None:
        """Check one node."""
        self._findings.total += 1
        readiness: Issue | None = Issue(texts.NODE_NEVER_READY)
        unready_for = 0.0
        pressures = []
        for condition in conditions(obj):
            kind, status = as_text(condition.get("type")), as_text(condition.get("status"))
            when = as_text(condition.get("lastTransitionTime")) or "?"
            if kind == "Ready":
                unready_for = seconds_since(condition.get("lastTransitionTime"), self._now)
                msgid = texts.NODE_NOT_READY if status == "False" else texts.NODE_SILENT
                values = {"since": when, "reason": explanation(condition, "?")}
                readiness = None if status == "True" else Issue(msgid, values)
            elif kind in BAD_WHEN_TRUE and status == "True":
                pressures.append(Issue(texts.NODE_CONDITION, {"condition": kind, "since": when}))
        cordoned = spec(obj).get("unschedulable") is True
        for name, holds in (("not_ready", readiness), ("pressure", pressures), ("cordoned", cordoned)):
            self._findings.tally(name, int(bool(holds)))
        issues = [*([readiness] if readiness else []), *pressures]
        if cordoned and (issues or self._cordoned):
            issues.append(Issue(texts.NODE_CORDONED))
        if issues:
            name = as_text(metadata(obj).get("name"))
            severity = (float(readiness is not None), float(len(pressures)), unready_for if readiness else 0.0)
            self._findings.add(Offender(name=name, severity=severity, issues=tuple(issues)))

    def findings(self) -> Findings:
        """The offenders found."""
        return self._findings
