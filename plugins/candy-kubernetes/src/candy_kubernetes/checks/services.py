"""Services: whether anybody answers behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypedDict

from attrs import define

from candy_core import Json
from candy_kit_kube.json_values import elements, members, text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import ending, metadata, name_of, spec
from candy_kubernetes.offenders import Fault, Findings, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams


class ServiceSpec(TypedDict, total=False):
    """What is looked at of a Service's ``spec``."""

    type: Any
    selector: Any


class Service(TypedDict, total=False):
    """What is looked at of a Service."""

    metadata: Metadata
    spec: ServiceSpec


class SliceMetadata(Metadata, total=False):
    """What is looked at of a slice's ``metadata``."""

    labels: Any


class Endpoint(TypedDict, total=False):
    """What is looked at of an endpoint: not its addresses."""

    conditions: Any


class EndpointSlice(TypedDict, total=False):
    """What is looked at of a slice."""

    metadata: SliceMetadata
    endpoints: list[Endpoint] | None


SERVICES: Final = Resource(plural="services", kind="Service", page=Page[Service])
ENDPOINT_SLICES: Final = Resource(
    group="discovery.k8s.io",
    versions=("v1", "v1beta1"),  # the first since 1.21, the second until 1.24
    plural="endpointslices",
    kind="EndpointSlice",
    page=Page[EndpointSlice],
    selected=False,  # they have labels of their own
)
SERVICE_NAME: Final = "kubernetes.io/service-name"
"""The label by which a slice names its Service (Kubernetes documentation, "EndpointSlices")."""

Key: TypeAlias = tuple[str, str]


@define
class _Behind:
    """What is behind a Service. ``by_hand``: it has no selector, so that somebody else keeps its endpoints."""

    by_hand: bool
    endpoints: int = 0
    ready: int = 0


class ServiceSurvey:
    """Holds against a Service that none of its endpoints is ready, or that it has none.

    An ExternalName is a name for something else and has no endpoints. Of a Service without a selector nobody can say
    that it should have some: it is looked at where it has them. A headless Service is one like any other.
    """

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._behind: dict[Key, _Behind] = {}
        self._findings = Findings(stats={"external_names": 0, "without_selector": 0})

    def see(self, resource: Resource, thing: Mapping[str, Json]) -> None:
        """Look at one Service, or at one of the slices, which come after all Services."""
        if resource is SERVICES:
            self._service(thing)
        else:
            self._slice(thing)

    def found(self) -> Findings:
        """What was found."""
        found = self._findings
        for (namespace, name), behind in self._behind.items():
            if behind.ready or (behind.by_hand and not behind.endpoints):
                continue
            fault = Fault(texts.NONE_READY, {"count": behind.endpoints})
            faults = (fault if behind.endpoints else Fault(texts.NO_ENDPOINTS),)
            found.add(Offender(name=f"{namespace}/{name}", gravity=(float(behind.endpoints),), faults=faults))
        self._behind = {}
        return found

    def _service(self, thing: Mapping[str, Json]) -> None:
        if ending(thing):
            return
        self._findings.total += 1
        if spec(thing).get("type") == "ExternalName":
            self._findings.tally("external_names")
            return
        by_hand = not members(spec(thing).get("selector"))
        self._findings.tally("without_selector", int(by_hand))
        namespace, _, name = name_of(thing).rpartition("/")
        self._behind[namespace, name] = _Behind(by_hand)

    def _slice(self, thing: Mapping[str, Json]) -> None:
        data = metadata(thing)
        of = text(members(data.get("labels")).get(SERVICE_NAME))
        behind = self._behind.get((text(data.get("namespace")), of))
        if behind is None:
            return
        for endpoint in map(members, elements(thing.get("endpoints"))):
            behind.endpoints += 1
            # Nothing said is to be taken for ready (EndpointSlice API, ``conditions.ready``).
            behind.ready += members(endpoint.get("conditions")).get("ready") is not False
