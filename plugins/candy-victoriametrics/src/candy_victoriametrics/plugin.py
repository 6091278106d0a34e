"""The plugin ``victoriametrics``: announces the executor for items of that type (contract section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from candy_core import ExecutorSpec, Health, PluginContext, hookimpl
from candy_kit_promql import (
    MAX_BATCH,
    MetricExecutor,
    MetricParams,
    batch_key,
    concurrency_key,
    dedup_key,
    open_executor,
)
from candy_victoriametrics.dialect import VICTORIAMETRICS
from candy_victoriametrics.settings import VictoriaMetricsSettings


def open_victoriametrics(
    context: PluginContext, settings: VictoriaMetricsSettings
) -> AbstractAsyncContextManager[MetricExecutor]:
    """Open the datasources; connects to nothing before the first query."""
    return open_executor(context, settings, VICTORIAMETRICS)


async def check(executor: MetricExecutor) -> Health:
    """Whether every configured datasource answers."""
    return await executor.health()


@hookimpl
def candy_executors() -> Iterable[ExecutorSpec[MetricParams, VictoriaMetricsSettings]]:
    """Announce the executor ``victoriametrics`` under all of its names (contract section 3)."""
    yield ExecutorSpec(
        name="victoriametrics",
        aliases=("victoriaMetrics", "vm"),
        params=MetricParams,
        settings=VictoriaMetricsSettings,
        open=open_victoriametrics,
        batch_key=batch_key,
        dedup_key=dedup_key,
        concurrency_key=concurrency_key,
        max_batch=MAX_BATCH,
        check=check,
    )
