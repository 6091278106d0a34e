"""The cluster's figures for the heartbeat (contract section 4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from candy_core import CandyError, ClusterInfo, Logger, PluginContext
from candy_kit_kube import Cluster, NoCluster, Surroundings, open_cluster
from candy_kit_kube.json_values import members, text
from candy_kubernetes.node_usage import NodeUsage
from candy_kubernetes.prometheus_figures import PrometheusFigures, open_prometheus_figures
from candy_kubernetes.settings import KubernetesSettings

T = TypeVar("T")

READ_SECONDS: Final = 15.0
"""How long one figure may take; less than the core gives a whole reading, so that one figure costs no other."""


class KubernetesProbe:
    """Reads each figure by itself; what cannot be had is ``None``, and why is logged when it changes.

    CPU and memory are the cluster's own (``metrics.k8s.io``) where it serves them, else Prometheus'. The disks' are
    Prometheus'.
    """

    def __init__(self, cluster: Cluster, prometheus: PrometheusFigures, logger: Logger) -> None:
        self._cluster = cluster
        self._usage = NodeUsage(cluster)
        self._prometheus = prometheus
        self._logger = logger
        self._told: dict[str, str] = {}

    async def read(self) -> ClusterInfo:
        """Every figure that can be had now."""
        async with asyncio.TaskGroup() as group:
            version = group.create_task(self._had("version", self._version))
            nodes = group.create_task(self._had("nodes", self._usage.count))
            usage = group.create_task(self._had("usage", self._usage.read))
            disk = group.create_task(self._had("disk", self._prometheus.disk))
        cpu, memory = usage.result() or (None, None)
        if cpu is None:
            cpu = await self._had("cpu", self._prometheus.cpu)
        if memory is None:
            memory = await self._had("memory", self._prometheus.memory)
        return ClusterInfo(
            nodes=nodes.result(),
            kubernetes_version=version.result(),
            cpu_usage=cpu,
            memory_usage=memory,
            disk_usage=disk.result(),
        )

    async def _version(self) -> str | None:
        told = members(await self._cluster.request("GET", "/version"))
        return text(told.get("gitVersion")).removeprefix("v") or None

    async def _had(self, figure: str, read: Callable[[], Awaitable[T | None]]) -> T | None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                found = await read()
            why = ""
        except TimeoutError:
            found, why = None, f"no answer within {READ_SECONDS:g} s"
        except NoCluster:
            found, why = None, ""  # whoever looks for the cluster has said so already
        except CandyError as error:
            found, why = None, str(error)
        if why != self._told.get(figure, ""):
            self._told[figure] = why
            if why:
                self._logger.warning("cluster_figure_missing", figure=figure, why=why)
        return found


@asynccontextmanager
async def open_probe(
    context: PluginContext, settings: KubernetesSettings, surroundings: Surroundings | None = None
) -> AsyncIterator[KubernetesProbe]:
    """Make the probe ready; nothing is connected before the first reading."""
    async with (
        open_cluster(context, settings, surroundings) as cluster,
        open_prometheus_figures(context, settings) as prometheus,
    ):
        yield KubernetesProbe(cluster, prometheus, context.logger)
