"""The engine as the rest of the agent sees it: take a task, cancel one, drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from candy_core.clock import Clock, SystemClock
from candy_core.engine.batching import ConcurrencyKey
from candy_core.engine.finisher import SHUTDOWN, TaskFinisher
from candy_core.engine.intake import Intake, ItemCheck
from candy_core.engine.item_resolution import HostedExecutor
from candy_core.engine.limiter import Limiter, Limiters
from candy_core.engine.runner_context import RunnerContext
from candy_core.engine.scheduler import WHOLE_TASK, Scheduler
from candy_core.errors import CandyError, Draining, NotFound, Problem, TaskEnded
from candy_core.hosting.calls import CANCEL_GRACE, Calls
from candy_core.metrics import Metrics
from candy_core.model.task import Callback, Event, Json, LogEntry, TaskState, TaskStatus
from candy_core.ports.context import Logger
from candy_core.ports.task_store import NewDelivery, StoreCounts, Submitted, TaskStore, Until

CANCELED = "Task canceled by request"


@frozen(kw_only=True)
class EngineLimits:
    """How much may happen at once; each is read when it matters, so that it may change at run time.

    ``calls_per_executor`` is for each concurrency key of an executor that has them (``ExecutorSpec.concurrency_key``).
    """

    calls: Callable[[], int]
    calls_per_executor: Callable[[], int]
    tasks: Callable[[], int]


class Engine:
    """Owns tasks from intake to their end."""

    def __init__(
        self,
        *,
        store: TaskStore,
        executors: Mapping[str, HostedExecutor],
        limits: EngineLimits,
        plan: Callable[[str, Callback | None], tuple[NewDelivery, ...]],
        check_callback: Callable[[Callback], Sequence[Problem]],
        announce: Callable[[Event, TaskState, Callback | None], None],
        metrics: Metrics,
        logger: Logger,
        worker: str,
        clock: Clock | None = None,
        slice_size: int = WHOLE_TASK,
        cancel_grace: float = CANCEL_GRACE,
    ) -> None:
        clock = clock or SystemClock()
        self.store = store
        self._clock = clock
        self._metrics = metrics
        self._log = logger
        self._limits = limits
        self._draining = False
        self._intake = Intake(executors, check_callback, logger)
        self._calls = Calls(cancel_grace)
        self._slots = Limiter(limits.calls)
        self._task_slots = Limiter(limits.tasks)
        self._executor_slots = Limiters(self._calls_of)
        context = RunnerContext(
            store=store,
            executors=executors,
            calls=self._calls,
            slots=self._slots,
            executor_slots=self._executor_slots,
            metrics=metrics,
            clock=clock,
            logger=logger,
            announce=announce,
        )
        finisher = TaskFinisher(store=store, plan=plan, metrics=metrics, clock=clock, logger=logger)
        self._scheduler = Scheduler(context, finisher, self._task_slots, worker=worker, slice_size=slice_size)

    @property
    def draining(self) -> bool:
        """Whether the agent takes no more tasks."""
        return self._draining

    @property
    def stalled(self) -> str | None:
        """Why no items are being run, or ``None`` while they are."""
        return self._scheduler.stalled

    async def run(self) -> None:
        """Run tasks until cancelled."""
        await self._scheduler.run()

    async def submit(self, body: Json, scopes: frozenset[str], *, strict: bool) -> Submitted:
        """Take a task in. Raises ``Invalid``, ``Conflict``, ``QueueFull``, ``Overloaded``, ``Draining``."""
        if self._draining:
            raise Draining("the agent is shutting down and takes no more tasks", retry_after=30)
        try:
            task = self._intake.plan(body, scopes, strict=strict)
            submitted = await self.store.submit(task)
        except CandyError as error:
            self._metrics.tasks_refused.labels(error.code).inc()
            raise
        if submitted.created:
            self._metrics.tasks_submitted.inc()
            entry = LogEntry(
                time=self._clock.now(), level="info", event="task_accepted", detail=f"items: {len(task.items)}"
            )
            await self.store.append_log(task.task_id, [entry])
            self._log.info("task_accepted", task_id=task.task_id, items=len(task.items), priority=task.priority)
        return submitted

    async def dry_run(self, body: Json, scopes: frozenset[str], *, strict: bool = False) -> tuple[ItemCheck, ...]:
        """Check a task without running it. Raises ``Invalid`` as :meth:`submit` does."""
        return self._intake.checks(self._intake.plan(body, scopes, strict=strict))

    async def cancel(self, task_id: str, *, timeout: float = 30.0) -> tuple[TaskState, bool]:
        """Cancel a task, and wait until it has really stopped; false where it had not after ``timeout`` seconds.

        Raises ``NotFound``, ``TaskEnded``.
        """
        until = asyncio.get_running_loop().time() + timeout
        state, ended = await self._cancel(task_id, CANCELED, timeout)
        left = max(0.0, until - asyncio.get_running_loop().time())
        return state, ended and await self._calls.wait_ended(task_id, left)

    async def counts(self) -> StoreCounts:
        """How full the store is."""
        return await self.store.counts()

    def limits_changed(self) -> None:
        """Use the new limits at once."""
        for limiter in (self._slots, self._task_slots, self._executor_slots):
            limiter.wake()

    async def drain(self, grace: float, *, last: float = 2.0) -> None:
        """Take no more tasks and cancel waiting ones; give running ones ``grace`` seconds, then cancel them too.

        Canceled ones have ``last`` seconds to end, and an item that ignores its cancellation is abandoned after half
        of that. Results that came by then are kept and reported all the same.
        """
        self._draining = True
        grace_ends = asyncio.get_running_loop().time() + grace
        waiting = await self._unfinished(TaskStatus.PENDING)
        running = await self._unfinished(TaskStatus.RUNNING)
        self._log.info("draining", waiting=len(waiting), running=len(running), grace=grace)
        await self._cancel_all(waiting, last)
        try:
            async with asyncio.timeout_at(grace_ends):
                for state in running:
                    await self.store.wait(state.task_id, Until.ENDED, grace)
        except TimeoutError:
            self._log.warning("grace_expired", grace=grace)
        self._calls.shorten_grace(last / 2)
        await self._cancel_all(await self._unfinished(TaskStatus.RUNNING), last)

    async def _cancel_all(self, states: Sequence[TaskState], last: float) -> None:
        async with asyncio.TaskGroup() as group:
            for state in states:
                group.create_task(self._cancel_quietly(state.task_id, last))

    async def _unfinished(self, status: TaskStatus) -> list[TaskState]:
        found: list[TaskState] = []
        cursor: str | None = None
        while True:
            page = await self.store.list(status=status, limit=500, cursor=cursor)
            found += page.tasks
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def _cancel(self, task_id: str, why: str, timeout: float) -> tuple[TaskState, bool]:
        await self.store.cancel(task_id, why)
        entry = LogEntry(time=self._clock.now(), level="info", event="cancel_requested", detail=why)
        await self.store.append_log(task_id, [entry])
        state = await self.store.wait(task_id, Until.ENDED, timeout)
        if state is None:
            raise NotFound(f"the task {task_id} was dropped while it was being canceled")
        return state, state.status.ended

    async def _cancel_quietly(self, task_id: str, timeout: float) -> None:
        try:
            await self._cancel(task_id, SHUTDOWN, timeout)
        except (TaskEnded, NotFound):
            return  # it has ended in the meantime

    def _calls_of(self, key: ConcurrencyKey) -> int:
        hosted, _ = key
        own = hosted.spec.max_concurrent
        return self._limits.calls_per_executor() if own is None else own
