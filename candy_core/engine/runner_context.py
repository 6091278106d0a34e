"""What the runs of all claims share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from candy_core.clock import Clock
from candy_core.engine.batching import ConcurrencyKey
from candy_core.engine.item_resolution import HostedExecutor
from candy_core.engine.limiter import Limiter, Limiters
from candy_core.hosting.calls import Calls
from candy_core.metrics import Metrics
from candy_core.model.task import Callback, Event, TaskState
from candy_core.ports.context import Logger
from candy_core.ports.task_store import TaskStore


@frozen(kw_only=True)
class RunnerContext:
    """Made once by the engine."""

    store: TaskStore
    executors: Mapping[str, HostedExecutor]
    calls: Calls
    slots: Limiter
    executor_slots: Limiters[ConcurrencyKey]
    metrics: Metrics
    clock: Clock
    logger: Logger
    announce: Callable[[Event, TaskState, Callback | None], None]
