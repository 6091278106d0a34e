"""A delivery service with the real store and the real plugin host, for reporters written by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import structlog
from attrs import define, field, frozen
from structlog.testing import capture_logs

from candy_core import (
    Answer,
    Callback,
    Delivered,
    Delivery,
    ItemStatus,
    Outcome,
    PluginContext,
    ReporterSpec,
)
from candy_core.delivery import DeliveryService
from candy_core.hosting import PluginHost
from candy_core.hosting.health import Timing
from candy_core.metrics import Metrics
from candy_core.registry import Announced, PluginRecord, PluginState, Registry
from candy_core.store.memory_store import MemoryStore
from candy_core.store.spool import Spool
from candy_core.task_store import Ending, NewTask, PlannedItem, StoreLimits, TaskStatus
from candy_core.testing.context import plugin_context
from candy_testbed import eventually


@frozen(kw_only=True)
class NoSettings:
    """The settings of a reporter that has none."""


class QuickRetryStore(MemoryStore):
    """The memory store, but retries are due at once. ``pauses`` are the requested pauses and reasons."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pauses: list[tuple[float, str]] = []

    async def retry(self, lease: str, after: float, why: str) -> None:
        self.pauses.append((after, why))
        await super().retry(lease, 0.01, why)


@define
class Recorder:
    """A reporter that answers with ``script`` and records its deliveries."""

    name: str
    script: Callable[[Delivery], Awaitable[Answer] | Answer]
    seen: list[Delivery] = field(factory=list)

    async def deliver(self, delivery: Delivery) -> Answer:
        self.seen.append(delivery)
        answer = self.script(delivery)
        return await answer if isinstance(answer, Awaitable) else answer

    def spec(self, **more: Any) -> ReporterSpec[Any]:
        """Its spec."""

        @asynccontextmanager
        async def open_it(context: PluginContext, settings: object) -> AsyncIterator[Recorder]:
            yield self

        return ReporterSpec(name=self.name, **{"settings": NoSettings, "open": open_it, **more})


@pytest.fixture
def recorder() -> Callable[..., Recorder]:
    """Creates reporters: ``recorder("a", lambda delivery: Retry("no"))``."""

    def make(name: str = "a", script: Callable[[Delivery], Any] = lambda _: Delivered("ok")) -> Recorder:
        return Recorder(name, script)

    return make


@define
class Running:
    """A delivery service and its dependencies."""

    service: DeliveryService
    store: Any
    metrics: Metrics
    host: PluginHost
    logs: list[Any]

    async def end_task(self, task_id: str = "task-1", callback: Callback | None = None) -> tuple[Any, ...]:
        """Finish a task, with its planned deliveries."""
        item = PlannedItem(id=1, type="none", verdict=Outcome(status=ItemStatus.FAILED, reason="unknown_type"))
        await self.store.submit(NewTask(task_id=task_id, digest=task_id.encode(), items=(item,), callback=callback))
        planned = self.service.plan(task_id, callback)
        ending = Ending(
            status=TaskStatus.COMPLETED,
            message="Task completed",
            fill=Outcome(status=ItemStatus.FAILED, reason="canceled"),
            deliveries=planned,
        )
        assert await self.store.finish(task_id, ending)
        return planned

    async def until_waiting(self, number: int = 0) -> None:
        async def waiting() -> bool:
            return bool((await self.store.counts()).waiting == number)

        await eventually(waiting)

    async def events(self, task_id: str = "task-1") -> list[tuple[str, str]]:
        log = await self.store.read_log(task_id)
        assert log is not None
        return [(entry.event, entry.detail) for entry in log.entries]

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels or None) or 0.0


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Starts a service: ``await start(recorder("a").spec())``; without workers if ``run=False``."""
    async with AsyncExitStack() as stack:
        logs = stack.enter_context(capture_logs())

        async def start_service(
            *specs: ReporterSpec[Any],
            run: bool = True,
            settings: Callable[[str, type[Any]], Any] = lambda _, kind: kind(),
            store: Any = None,
            spool: Spool | None = None,
            server_url: str | None = None,
            **service: Any,
        ) -> Running:
            logger = structlog.get_logger()
            metrics = Metrics("0")
            registry = Registry(
                plugins=tuple(
                    PluginRecord(name=spec.name, distribution=spec.name, version="1", state=PluginState.ACTIVE)
                    for spec in specs
                ),
                reporters={spec.name: Announced(plugin=spec.name, spec=spec) for spec in specs},
            )
            host = PluginHost(
                registry,
                context=lambda plugin: plugin_context(plugin, logger=logger, server_url=server_url),
                settings=settings,
                required=(),
                metrics=metrics,
                logger=logger,
                open_timeout=60.0,
                timing=Timing(),
            )
            if store is None:
                store = QuickRetryStore(StoreLimits(max_pending=100_000), spool=spool)
            delivery = DeliveryService(store=store, reporters=host.reporters, metrics=metrics, logger=logger, **service)
            for part in (host.run, *([delivery.run] if run else [])):
                task = asyncio.create_task(part())
                stack.push_async_callback(ended, task)
            await host.opened()
            return Running(delivery, store, metrics, host, logs)

        yield start_service


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (fault := task.exception()) is not None:
        raise fault
