"""Every check by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from candy_kubernetes import texts
from candy_kubernetes.checks.certificates import TLS_SECRETS, CertificateSurvey
from candy_kubernetes.checks.check import Check
from candy_kubernetes.checks.events import EVENTS, EventSurvey
from candy_kubernetes.checks.nodes import NODES, NodeSurvey
from candy_kubernetes.checks.pods import PODS, PodSurvey
from candy_kubernetes.checks.services import ENDPOINT_SLICES, SERVICES, ServiceSurvey
from candy_kubernetes.checks.volumes import CLAIMS, VolumeSurvey
from candy_kubernetes.checks.workloads import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS, WorkloadSurvey
from candy_kubernetes.params import CheckName

CHECKS: Final[Mapping[CheckName, Check]] = {
    CheckName.NODES: Check(noun=texts.NODE, resources=(NODES,), survey=NodeSurvey),
    CheckName.PODS: Check(noun=texts.POD, resources=(PODS,), survey=PodSurvey),
    CheckName.WORKLOADS: Check(
        noun=texts.WORKLOAD, resources=(DEPLOYMENTS, DAEMON_SETS, STATEFUL_SETS), survey=WorkloadSurvey
    ),
    CheckName.SERVICES: Check(noun=texts.SERVICE, resources=(SERVICES, ENDPOINT_SLICES), survey=ServiceSurvey),
    CheckName.VOLUMES: Check(noun=texts.VOLUME, resources=(CLAIMS,), survey=VolumeSurvey),
    CheckName.EVENTS: Check(noun=texts.EVENT, resources=(EVENTS,), survey=EventSurvey, needs_objects=False),
    CheckName.CERTIFICATES: Check(noun=texts.CERTIFICATE, resources=(TLS_SECRETS,), survey=CertificateSurvey),
}
