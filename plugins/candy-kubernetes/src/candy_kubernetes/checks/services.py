"""Services: whether they have ready endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypedDict

from attrs import define

from candy_core import Json
from candy_kit_kube import as_list, as_object, as_text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import full_name, is_terminating, metadata, spec
from candy_kubernetes.offenders import Findings, Issue, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams


class ServiceSpec(TypedDict, total=False):
    """The fields of a Service's ``spec`` that are read."""

    type: Any
    selector: Any


class Service(TypedDict, total=False):
    """The fields of a Service that are read."""

    metadata: Metadata
    spec: ServiceSpec


class SliceMetadata(Metadata, total=False):
    """The fields of a slice's ``metadata`` that are read."""

    labels: Any


class Endpoint(TypedDict, total=False):
    """The fields of an endpoint that are read: not its addresses."""

    conditions: Any


class EndpointSlice(TypedDict, total=False):
    """The fields of a slice that are read."""

    metadata: SliceMetadata
    endpoints: list[Endpoint] | None


SERVICES: Final = Resource(plural="services", kind="Service", page=Page[Service])
ENDPOINT_SLICES: Final = Resource(
    group="discovery.k8s.io",
    versions=("v1", "v1beta1"),  # the first since 1.21, the second until 1.24
    plural="endpointslices",
    kind="EndpointSlice",
    page=Page[EndpointSlice],
    selected=False,  # their labels are not those of the Service
)
SERVICE_NAME: Final = "kubernetes.io/service-name"
"""The label of a slice with the name of its Service (Kubernetes documentation, "EndpointSlices")."""

Key: TypeAlias = tuple[str, str]


@define
class _Endpoints:
    """The endpoints of a Service. ``manual``: it has no selector, and its endpoints are not managed by Kubernetes."""

    manual: bool
    total: int = 0
    ready: int = 0


class ServiceScan:
    """An offender is a Service that has no endpoints, or none that is ready.

    An ExternalName has no endpoints. A Service without a selector may have none, and is checked only if it has some. A
    headless Service is checked like any other.
    """

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._services: dict[Key, _Endpoints] = {}
        self._findings = Findings(stats={"external_names": 0, "without_selector": 0})

    def inspect(self, resource: Resource, obj: Mapping[str, Json]) -> None:
        """Check one Service, or one slice; all slices come after all Services."""
        if resource is SERVICES:
            self._service(obj)
        else:
            self._slice(obj)

    def findings(self) -> Findings:
        """The offenders found."""
        found = self._findings
        for (namespace, name), endpoints in self._services.items():
            if endpoints.ready or (endpoints.manual and not endpoints.total):
                continue
            issue = Issue(texts.NONE_READY, {"count": endpoints.total})
            issues = (issue if endpoints.total else Issue(texts.NO_ENDPOINTS),)
            found.add(Offender(name=f"{namespace}/{name}", severity=(float(endpoints.total),), issues=issues))
        self._services = {}
        return found

    def _service(self, obj: Mapping[str, Json]) -> None:
        if is_terminating(obj):
            return
        self._findings.total += 1
        if spec(obj).get("type") == "ExternalName":
            self._findings.tally("external_names")
            return
        manual = not as_object(spec(obj).get("selector"))
        self._findings.tally("without_selector", int(manual))
        namespace, _, name = full_name(obj).rpartition("/")
        self._services[namespace, name] = _Endpoints(manual)

    def _slice(self, obj: Mapping[str, Json]) -> None:
        data = metadata(obj)
        service = as_text(as_object(data.get("labels")).get(SERVICE_NAME))
        endpoints = self._services.get((as_text(data.get("namespace")), service))
        if endpoints is None:
            return
        for endpoint in map(as_object, as_list(obj.get("endpoints"))):
            endpoints.total += 1
            # A missing condition means ready (EndpointSlice API, ``conditions.ready``).
            endpoints.ready += as_object(endpoint.get("conditions")).get("ready") is not False
