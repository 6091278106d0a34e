"""Persistent volume claims: whether they have got a volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from candy_core import Json
from candy_kit_kube.json_values import text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import ending, metadata, name_of, since, status
from candy_kubernetes.offenders import Fault, Findings, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams
from candy_kubernetes.span import age


class ClaimStatus(TypedDict, total=False):
    """What is looked at of a claim's ``status``."""

    phase: Any


class Claim(TypedDict, total=False):
    """What is looked at of a claim."""

    metadata: Metadata
    status: ClaimStatus


CLAIMS: Final = Resource(plural="persistentvolumeclaims", kind="PersistentVolumeClaim", page=Page[Claim])


class VolumeSurvey:
    """Holds against a claim that it is not bound: never was (``Pending``), or not any more (``Lost``)."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._grace = 0.0 if params.grace is None else params.grace.seconds
        self._now = now
        self._findings = Findings(stats={"bound": 0, "pending": 0, "lost": 0})

    def see(self, resource: Resource, thing: Mapping[str, Json]) -> None:
        """Look at one claim."""
        if ending(thing):
            return
        phase = text(status(thing).get("phase")) or "Pending"
        self._findings.total += 1
        self._findings.tally(phase.lower())
        lasted = since(metadata(thing).get("creationTimestamp"), self._now)
        if phase == "Bound" or (phase == "Pending" and lasted < self._grace):
            return
        fault = Fault(texts.CLAIM_UNBOUND, {"phase": phase, "age": age(lasted)})
        self._findings.add(Offender(name=name_of(thing), gravity=(float(phase != "Pending"), lasted), faults=(fault,)))

    def found(self) -> Findings:
        """What was found."""
        return self._findings
