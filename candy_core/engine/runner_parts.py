"""What all runs of claims share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from candy_core.engine.clock import Clock
from candy_core.engine.gathering import Share
from candy_core.engine.limiter import Limiter, Limiters
from candy_core.engine.preparing import HostedExecutor
from candy_core.hosting.calls import Calls
from candy_core.metrics import Metrics
from candy_core.model.task import Callback, Event, TaskState
from candy_core.ports.context import Logger
from candy_core.ports.task_store import TaskStore


@frozen(kw_only=True)
class RunnerParts:
    """Given to each by the engine."""

    store: TaskStore
    executors: Mapping[str, HostedExecutor]
    calls: Calls
    slots: Limiter
    executor_slots: Limiters[Share]
    metrics: Metrics
    clock: Clock
    logger: Logger
    announce: Callable[[Event, TaskState, Callback | None], None]
