"""The plugin ``prometheus``: announces the executor for items of that type (contract section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from candy_core import ExecutorSpec, Health, PluginContext, hookimpl
from candy_kit_promql import (
    MAX_BATCH,
    PROMETHEUS,
    MetricExecutor,
    MetricParams,
    MetricSettings,
    batch_key,
    concurrency_key,
    dedup_key,
    open_executor,
)


def open_prometheus(context: PluginContext, settings: MetricSettings) -> AbstractAsyncContextManager[MetricExecutor]:
    """Open the datasources; connects to nothing before the first query."""
    return open_executor(context, settings, PROMETHEUS)


async def check(executor: MetricExecutor) -> Health:
    """Whether every configured datasource answers."""
    return await executor.health()


@hookimpl
def candy_executors() -> Iterable[ExecutorSpec[MetricParams, MetricSettings]]:
    """Announce the executor ``prometheus``."""
    yield ExecutorSpec(
        name="prometheus",
        params=MetricParams,
        settings=MetricSettings,
        open=open_prometheus,
        batch_key=batch_key,
        dedup_key=dedup_key,
        concurrency_key=concurrency_key,
        max_batch=MAX_BATCH,
        check=check,
    )
