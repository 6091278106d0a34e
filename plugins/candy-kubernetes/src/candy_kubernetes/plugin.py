"""The plugin ``kubernetes``: items of that type (contract section 3), and figures for the heartbeat (section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from candy_core import ClusterProbeSpec, ExecutorSpec, Health, PluginContext, hookimpl
from candy_kubernetes.executor import KubernetesExecutor, open_executor
from candy_kubernetes.params import KubernetesParams, list_key
from candy_kubernetes.probe import KubernetesProbe, open_probe
from candy_kubernetes.settings import KubernetesSettings

MAX_CONCURRENT = 8
"""Lists that are read concurrently: each keeps a page in memory, and makes the API server read from its storage."""


def open_kubernetes(
    context: PluginContext, settings: KubernetesSettings
) -> AbstractAsyncContextManager[KubernetesExecutor]:
    """Open the executor. Nothing is connected before the first item."""
    return open_executor(context, settings)


def open_figures(context: PluginContext, settings: KubernetesSettings) -> AbstractAsyncContextManager[KubernetesProbe]:
    """Open the probe. Nothing is connected before the first reading."""
    return open_probe(context, settings)


async def check(executor: KubernetesExecutor) -> Health:
    """Whether the cluster can be reached, if there is one."""
    return await executor.health()


@hookimpl
def candy_executors() -> Iterable[ExecutorSpec[KubernetesParams, KubernetesSettings]]:
    """Announce the executor ``kubernetes``."""
    yield ExecutorSpec(
        name="kubernetes",
        params=KubernetesParams,
        settings=KubernetesSettings,
        open=open_kubernetes,
        batch_key=list_key,
        dedup_key=list_key,
        max_batch=1,
        max_concurrent=MAX_CONCURRENT,
        check=check,
    )


@hookimpl
def candy_cluster_probes() -> Iterable[ClusterProbeSpec[KubernetesSettings]]:
    """Announce the probe ``kubernetes``."""
    yield ClusterProbeSpec(name="kubernetes", settings=KubernetesSettings, open=open_figures)
