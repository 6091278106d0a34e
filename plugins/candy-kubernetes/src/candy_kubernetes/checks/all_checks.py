"""All checks, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from candy_kubernetes import texts
from candy_kubernetes.checks.certificates import TLS_SECRETS, CertificateScan
from candy_kubernetes.checks.check import Check
from candy_kubernetes.checks.events import EVENTS, EventScan
from candy_kubernetes.checks.nodes import NODES, NodeScan
from candy_kubernetes.checks.pods import PODS, PodScan
from candy_kubernetes.checks.services import ENDPOINT_SLICES, SERVICES, ServiceScan
from candy_kubernetes.checks.volumes import CLAIMS, VolumeScan
from candy_kubernetes.checks.workloads import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS, WorkloadScan
from candy_kubernetes.params import CheckName

CHECKS: Final[Mapping[CheckName, Check]] = {
    CheckName.NODES: Check(noun=texts.NODE, resources=(NODES,), scan=NodeScan),
    CheckName.PODS: Check(noun=texts.POD, resources=(PODS,), scan=PodScan),
    CheckName.WORKLOADS: Check(
        noun=texts.WORKLOAD, resources=(DEPLOYMENTS, DAEMON_SETS, STATEFUL_SETS), scan=WorkloadScan
    ),
    CheckName.SERVICES: Check(noun=texts.SERVICE, resources=(SERVICES, ENDPOINT_SLICES), scan=ServiceScan),
    CheckName.VOLUMES: Check(noun=texts.VOLUME, resources=(CLAIMS,), scan=VolumeScan),
    CheckName.EVENTS: Check(noun=texts.EVENT, resources=(EVENTS,), scan=EventScan, needs_objects=False),
    CheckName.CERTIFICATES: Check(noun=texts.CERTIFICATE, resources=(TLS_SECRETS,), scan=CertificateScan),
}
