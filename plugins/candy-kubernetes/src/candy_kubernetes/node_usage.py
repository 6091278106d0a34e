"""The number of nodes, and the usage of their CPU and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict

from attrs import frozen

from candy_core import Json
from candy_kit_kube import Cluster, as_list, as_object, as_text
from candy_kubernetes.checks import Resource
from candy_kubernetes.checks.nodes import NODES
from candy_kubernetes.checks.objects import as_int, metadata, status
from candy_kubernetes.listing import Listing
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.quantity import quantity


class NodeMetric(TypedDict, total=False):
    """The fields of a node's metrics that are read."""

    metadata: Metadata
    usage: Any


NODE_METRICS: Final = Resource(
    group="metrics.k8s.io",
    versions=("v1beta1",),
    plural="nodes",
    kind="NodeMetrics",
    page=Page[NodeMetric],
    namespaced=False,
)
CAPACITY_SECONDS: Final = 600.0
"""After how many seconds the nodes' capacities are read again: node objects are large and their capacity is stable."""


@frozen
class Amount:
    """CPU in cores and memory in bytes; ``None`` if unknown."""

    cpu: float | None
    memory: float | None


class NodeUsage:
    """Reads the nodes' usage from the metrics server, as a share of the nodes' ``capacity``.

    The share is of the capacity, not of ``allocatable``: the usage is that of the whole node, and node exporters use
    the capacity too. A node whose usage or capacity is unknown is left out of both sums.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._listing = Listing(cluster)
        self._clock = clock
        self._capacity: Mapping[str, Amount] = {}
        self._read_at = float("-inf")

    async def count(self) -> int | None:
        """The number of nodes, from a page with one node and ``remainingItemCount``."""
        page = as_object(await self._cluster.request("GET", NODES.path("v1", None), query={"limit": "1"}))
        if not isinstance(page.get("items"), list):
            return None
        data = as_object(page.get("metadata"))
        counted = len(as_list(page.get("items"))) + as_int(data.get("remainingItemCount"))
        if as_text(data.get("continue")) and not as_int(data.get("remainingItemCount")):
            return len(await self._capacities())  # the server does not return remainingItemCount
        return counted

    async def read(self) -> tuple[float | None, float | None]:
        """CPU and memory in percent. Raises as ``Cluster.pages`` does, ``MissingResource`` without a metrics server."""
        used = {
            as_text(metadata(each).get("name")): _amount(as_object(each.get("usage")))
            async for page in self._listing.pages(NODE_METRICS, None, "")
            for each in page
        }
        if not used:
            return None, None
        expired = self._clock() - self._read_at >= CAPACITY_SECONDS
        if expired or not used.keys() <= self._capacity.keys():
            await self._capacities()
        pairs = [(amount, self._capacity[name]) for name, amount in used.items() if name in self._capacity]
        return (
            _percent([(amount.cpu, capacity.cpu) for amount, capacity in pairs]),
            _percent([(amount.memory, capacity.memory) for amount, capacity in pairs]),
        )

    async def _capacities(self) -> Mapping[str, Amount]:
        self._capacity = {
            as_text(metadata(each).get("name")): _amount(as_object(status(each).get("capacity")))
            async for page in self._listing.pages(NODES, None, "")
            for each in page
        }
        self._read_at = self._clock()
        return self._capacity


def _amount(quantities: Mapping[str, Json]) -> Amount:
    return Amount(quantity(quantities.get("cpu")), quantity(quantities.get("memory")))


def _percent(pairs: list[tuple[float | None, float | None]]) -> float | None:
    known = [(used, total) for used, total in pairs if used is not None and total is not None and total > 0]
    if not known:
        return None
    share = 100 * sum(used for used, _ in known) / sum(total for _, total in known)
    return round(min(max(share, 0.0), 100.0), 2)  # the usage is sampled, and may slightly exceed the capacity
