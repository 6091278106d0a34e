"""Figures of the heartbeat that come from a Prometheus: the usage of CPU, memory and disks, in percent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from candy_core import BackendUnavailable, Item, ItemStatus, Locale, Logger, PluginContext, Run
from candy_kit_promql import PROMETHEUS, MetricExecutor, MetricParams, open_executor
from candy_kubernetes.settings import KubernetesSettings


class PrometheusFigures:
    """Queries one percentage at a time; ``None`` if no Prometheus is configured, or if it has no value."""

    def __init__(self, executor: MetricExecutor | None, settings: KubernetesSettings, logger: Logger) -> None:
        self._executor = executor
        self._settings = settings
        self._logger = logger

    async def cpu(self) -> float | None:
        """The usage of all nodes' CPU."""
        return await self._percentage(self._settings.cpu_query)

    async def memory(self) -> float | None:
        """The usage of all nodes' memory."""
        return await self._percentage(self._settings.memory_query)

    async def disk(self) -> float | None:
        """The usage of all nodes' disks."""
        return await self._percentage(self._settings.disk_query)

    async def _percentage(self, query: str) -> float | None:
        """Raises ``BackendUnavailable`` if the query failed."""
        if self._executor is None:
            return None
        run = Run(
            task_id="heartbeat",
            time=time.time(),
            locale=Locale.EN,
            deadline=asyncio.get_running_loop().time() + self._settings.timeout,
            logger=self._logger,
        )
        item = Item(index=0, id="figure", name="", params=MetricParams(query=query))
        [outcome] = [outcome async for _, outcome in self._executor.run_batch([item], run)]
        if outcome.status is ItemStatus.FAILED:
            raise BackendUnavailable(outcome.message)
        try:
            value = float(outcome.value)
        except ValueError:
            return None
        return round(value, 2) if 0 <= value <= 100 else None


@asynccontextmanager
async def open_prometheus_figures(
    context: PluginContext, settings: KubernetesSettings
) -> AsyncIterator[PrometheusFigures]:
    """Open the connection to Prometheus, if one is configured. Nothing is connected before the first query."""
    if settings.prometheus_url is None:
        yield PrometheusFigures(None, settings, context.logger)
        return
    async with open_executor(context, settings.prometheus(), PROMETHEUS) as executor:
        yield PrometheusFigures(executor, settings, context.logger)
