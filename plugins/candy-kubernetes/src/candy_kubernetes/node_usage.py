"""How many nodes there are, and how much of their CPU and memory is used."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict

from attrs import frozen

from candy_core import Json
from candy_kit_kube import Cluster
from candy_kit_kube.json_values import elements, members, text
from candy_kubernetes.checks import Resource
from candy_kubernetes.checks.nodes import NODES
from candy_kubernetes.checks.objects import metadata, number, status
from candy_kubernetes.listing import Listing
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.quantity import quantity


class NodeMetric(TypedDict, total=False):
    """What is looked at of a node's metrics."""

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
CAPACITY_EVERY: Final = 600.0
"""Seconds after which the nodes' capacities are read again: a node is large, with its images, and seldom changes."""


@frozen
class Amount:
    """CPU in cores and memory in bytes; ``None`` where somebody did not say."""

    cpu: float | None
    memory: float | None


class NodeUsage:
    """Reads the nodes' usage as the metrics server tells it, as a share of what the nodes have (``capacity``).

    Of the capacity and not of what pods may have of it (``allocatable``): what is used counts the whole node, and node
    exporters reckon the same way. A node of which one of the two is not known is in neither sum.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._listing = Listing(cluster)
        self._clock = clock
        self._capacity: Mapping[str, Amount] = {}
        self._read_at = float("-inf")

    async def count(self) -> int | None:
        """How many nodes there are; one of them is asked for, and how many there are besides."""
        page = members(await self._cluster.request("GET", NODES.path("v1", None), query={"limit": "1"}))
        if not isinstance(page.get("items"), list):
            return None
        data = members(page.get("metadata"))
        counted = len(elements(page.get("items"))) + number(data.get("remainingItemCount"))
        if text(data.get("continue")) and not number(data.get("remainingItemCount")):
            return len(await self._capacities())  # a server that does not count
        return counted

    async def read(self) -> tuple[float | None, float | None]:
        """CPU and memory in percent. Raises as ``Cluster.pages``; ``MissingResource`` without a metrics server."""
        used = {
            text(metadata(each).get("name")): _amount(members(each.get("usage")))
            async for page in self._listing.pages(NODE_METRICS, None, "")
            for each in page
        }
        if not used:
            return None, None
        old = self._clock() - self._read_at >= CAPACITY_EVERY
        if old or not used.keys() <= self._capacity.keys():
            await self._capacities()
        pairs = [(amount, self._capacity[name]) for name, amount in used.items() if name in self._capacity]
        return (
            _percent([(amount.cpu, whole.cpu) for amount, whole in pairs]),
            _percent([(amount.memory, whole.memory) for amount, whole in pairs]),
        )

    async def _capacities(self) -> Mapping[str, Amount]:
        self._capacity = {
            text(metadata(each).get("name")): _amount(members(status(each).get("capacity")))
            async for page in self._listing.pages(NODES, None, "")
            for each in page
        }
        self._read_at = self._clock()
        return self._capacity


def _amount(told: Mapping[str, Json]) -> Amount:
    return Amount(quantity(told.get("cpu")), quantity(told.get("memory")))


def _percent(pairs: list[tuple[float | None, float | None]]) -> float | None:
    known = [(part, whole) for part, whole in pairs if part is not None and whole is not None and whole > 0]
    if not known:
        return None
    share = 100 * sum(part for part, _ in known) / sum(whole for _, whole in known)
    return round(min(max(share, 0.0), 100.0), 2)  # what is used is sampled, and may be a little more than there is
