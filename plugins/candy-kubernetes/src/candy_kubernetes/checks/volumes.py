"""Persistent volume claims: whether they are bound to a volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from candy_core import Json
from candy_kit_kube import as_text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import full_name, is_terminating, metadata, seconds_since, status
from candy_kubernetes.offenders import Findings, Issue, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams
from candy_kubernetes.span import age


class ClaimStatus(TypedDict, total=False):
    """The fields of a claim's ``status`` that are read."""

    phase: Any


class Claim(TypedDict, total=False):
    """The fields of a claim that are read."""

    metadata: Metadata
    status: ClaimStatus


CLAIMS: Final = Resource(plural="persistentvolumeclaims", kind="PersistentVolumeClaim", page=Page[Claim])


class VolumeScan:
    """An offender is a claim that is not bound: not yet (``Pending``), or no longer (``Lost``)."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._grace = 0.0 if params.grace is None else params.grace.seconds
        self._now = now
        self._findings = Findings(stats={"bound": 0, "pending": 0, "lost": 0})

    def inspect(self, resource: Resource, obj: Mapping[str, Json]) -> None:
        """Check one claim."""
        if is_terminating(obj):
            return
        phase = as_text(status(obj).get("phase")) or "Pending"
        self._findings.total += 1
        self._findings.tally(phase.lower())
        duration = seconds_since(metadata(obj).get("creationTimestamp"), self._now)
        if phase == "Bound" or (phase == "Pending" and duration < self._grace):
            return
        issue = Issue(texts.CLAIM_UNBOUND, {"phase": phase, "age": age(duration)})
        self._findings.add(
            Offender(name=full_name(obj), severity=(float(phase != "Pending"), duration), issues=(issue,))
        )

    def findings(self) -> Findings:
        """The offenders found."""
        return self._findings
