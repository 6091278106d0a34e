"""The cluster's figures for the heartbeat (contract section 4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from candy_core import CandyError, ClusterInfo, Logger, PluginContext
from candy_kit_kube import Cluster, Environment, NoCluster, as_object, as_text, open_cluster
from candy_kubernetes.node_usage import NodeUsage
from candy_kubernetes.prometheus_figures import PrometheusFigures, open_prometheus_figures
from candy_kubernetes.settings import KubernetesSettings

T = TypeVar("T")

READ_SECONDS: Final = 15.0
"""The timeout for one figure: less than the core's timeout for all, so that a slow one does not cost the others."""


class KubernetesProbe:
    """Reads each figure separately. One that cannot be read is ``None``; the reason is logged when it changes.

    CPU and memory come from the cluster (``metrics.k8s.io``) if it serves them, else from Prometheus. The figure for
    the disks comes from Prometheus.
    """

    def __init__(self, cluster: Cluster, prometheus: PrometheusFigures, logger: Logger) -> None:
        self._cluster = cluster
        self._usage = NodeUsage(cluster)
        self._prometheus = prometheus
        self._logger = logger
        self._logged: dict[str, str] = {}

    async def read(self) -> ClusterInfo:
        """All figures that can be read now."""
        async with asyncio.TaskGroup() as group:
            version = group.create_task(self._try("version", self._version))
            nodes = group.create_task(self._try("nodes", self._usage.count))
            usage = group.create_task(self._try("usage", self._usage.read))
            disk = group.create_task(self._try("disk", self._prometheus.disk))
        cpu, memory = usage.result() or (None, None)
        if cpu is None:
            cpu = await self._try("cpu", self._prometheus.cpu)
        if memory is None:
            memory = await self._try("memory", self._prometheus.memory)
        return ClusterInfo(
            nodes=nodes.result(),
            kubernetes_version=version.result(),
            cpu_usage=cpu,
            memory_usage=memory,
            disk_usage=disk.result(),
        )

    async def _version(self) -> str | None:
        version = as_object(await self._cluster.request("GET", "/version"))
        return as_text(version.get("gitVersion")).removeprefix("v") or None

    async def _try(self, figure: str, read: Callable[[], Awaitable[T | None]]) -> T | None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                found = await read()
            why = ""
        except TimeoutError:
            found, why = None, f"no response within {READ_SECONDS:g} s"
        except NoCluster:
            found, why = None, ""  # the kit has logged it already
        except CandyError as error:
            found, why = None, str(error)
        if why != self._logged.get(figure, ""):
            self._logged[figure] = why
            if why:
                self._logger.warning("cluster_figure_missing", figure=figure, error=why)
        return found


@asynccontextmanager
async def open_probe(
    context: PluginContext, settings: KubernetesSettings, environment: Environment | None = None
) -> AsyncIterator[KubernetesProbe]:
    """Open the probe. Nothing is connected before the first reading."""
    async with (
        open_cluster(context, settings, environment) as cluster,
        open_prometheus_figures(context, settings) as prometheus,
    ):
        yield KubernetesProbe(cluster, prometheus, context.logger)
