"""Runs items of the type ``kubernetes``: items that check the same objects share one list of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager

from candy_core import CandyError, Health, Item, Json, Outcome, PluginContext, Run
from candy_kit_kube import Cluster, Environment, NoCluster, open_cluster
from candy_kubernetes.api_failures import api_failure
from candy_kubernetes.checks import CHECKS, Resource, Scan
from candy_kubernetes.judging import judge_findings
from candy_kubernetes.listing import Listing
from candy_kubernetes.params import KubernetesParams
from candy_kubernetes.settings import KubernetesSettings

CHECK_SECONDS = 3.0
"""For a health check. The core waits for five, so that the message can name a cluster that does not respond."""


class KubernetesExecutor:
    """A ``BatchExecutor``. All items of a call check the same objects."""

    def __init__(self, cluster: Cluster, limit: int) -> None:
        self._cluster = cluster
        self._listing = Listing(cluster)
        self._limit = limit
        self._seen = False

    async def run_batch(self, items: Sequence[Item[KubernetesParams]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        """List each kind of object once, and yield an outcome for each item."""
        check = CHECKS[items[0].params.check]
        scans: dict[Hashable, Scan] = {_scan_key(item.params): check.scan(item.params, run.time) for item in items}
        for resource in check.resources:
            if error := await self._scan(resource, items[0].params, tuple(scans.values())):
                for item in items:
                    yield (
                        item.index,
                        api_failure(error, resource, item.params, run.locale, limit=self._limit, seen=self._seen),
                    )
                return
        findings = {key: scan.findings() for key, scan in scans.items()}
        for item in items:
            yield item.index, judge_findings(check, item.params, findings[_scan_key(item.params)], run.locale)

    async def health(self) -> Health:
        """Whether the cluster can be reached. Without a configured cluster the plugin is healthy."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._cluster.request("GET", "/version")
        except NoCluster as error:
            return Health(ok=not self._seen, detail=str(error))
        except TimeoutError:
            return Health(ok=False, detail=f"no response from the Kubernetes API within {CHECK_SECONDS:g} s")
        except CandyError as error:
            self._seen = True
            return Health(ok=False, detail=str(error))
        self._seen = True
        return Health(ok=True)

    async def _scan(self, resource: Resource, params: KubernetesParams, scans: Sequence[Scan]) -> CandyError | None:
        """Pass every object to every scan. Returns the error if the objects cannot be listed."""
        try:
            async for objects in self._listing.pages(
                resource, params.selected_namespace(), params.label_selector.strip()
            ):
                self._seen = True
                await asyncio.to_thread(_inspect, resource, objects, scans)
        except CandyError as error:
            self._seen = self._seen or not isinstance(error, NoCluster)
            return error
        return None


def _inspect(resource: Resource, objects: Sequence[Mapping[str, Json]], scans: Sequence[Scan]) -> None:
    for scan in scans:
        for obj in objects:
            scan.inspect(resource, obj)


def _scan_key(params: KubernetesParams) -> Hashable:
    """Items with the same key have the same findings, whatever their thresholds are."""
    return (
        None if params.grace is None else params.grace.seconds,
        None if params.age is None else params.age.seconds,
        params.restarts,
        bool(params.cordoned),
        params.days,
    )


@asynccontextmanager
async def open_executor(
    context: PluginContext, settings: KubernetesSettings, environment: Environment | None = None
) -> AsyncIterator[KubernetesExecutor]:
    """Open the executor. The cluster is searched for at the first item, and again until one is found."""
    async with open_cluster(context, settings, environment) as cluster:
        yield KubernetesExecutor(cluster, context.limits.answer)
