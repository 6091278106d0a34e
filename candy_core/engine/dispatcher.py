"""The calls of a claim under one concurrency key: each gets its slot within the limits, its time and its retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import structlog
from attrs import evolve

from candy_core.backoff import Backoff
from candy_core.engine.attempt import Attempt, CallContext, ItemOutcome, canceled
from candy_core.engine.batching import CallQueue, ConcurrencyKey, RunningItem
from candy_core.engine.deadlines import Deadlines
from candy_core.engine.result_writer import ResultWriter
from candy_core.engine.runner_context import RunnerContext
from candy_core.ports.context import Logger
from candy_core.ports.executor import Run
from candy_core.ports.task_store import Claim
from candy_core.store.result_text import result_text

_BACKOFF = Backoff(first=0.2, jitter=(0.5, 1.5))


class Dispatcher:
    """Used once. A call holds its slot from its start until it has ended, the pauses between its attempts included.

    ``deadline`` is the task's, on the loop's clock; ``spawn`` runs something beside it that ends with it.
    """

    def __init__(
        self,
        context: RunnerContext,
        claim: Claim,
        key: ConcurrencyKey,
        queue: CallQueue,
        *,
        deadline: float,
        writer: ResultWriter,
        log: Logger,
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        hosted, _ = key
        self._loop = asyncio.get_running_loop()
        self._queue = queue
        self._deadline = deadline
        self._writer = writer
        self._slots = context.slots
        self._key = key
        self._executor_slots = context.executor_slots
        self._running = context.metrics.running
        self._name = hosted.name
        self._retries = context.metrics.item_retries.labels(hosted.name)
        self._deadlines = Deadlines(deadline, lambda attempt: spawn(attempt.stop_late()))
        self._canceled = canceled(claim.locale)
        self._run = Run(
            task_id=claim.task_id,
            time=claim.evaluation_time,
            locale=claim.locale,
            deadline=deadline,
            logger=log,
        )
        self._calls = CallContext(
            calls=context.calls,
            metrics=context.metrics,
            hosted=hosted,
            log=log,
            on_result=writer.ended,
            on_done=self._attempt_done,
            spawn=spawn,
        )
        self._attempts: set[Attempt] = set()
        self._paused: dict[RunningItem, tuple[asyncio.TimerHandle, Sequence[ItemOutcome]]] = {}
        """What waits for its next attempt, by the first item of each call."""
        self._held_slots = 0
        self._idle = asyncio.Event()
        self._closed = False

    async def run(self) -> None:
        """Make all calls, and return once the last has ended. What has not begun by the deadline is left alone."""
        structlog.contextvars.bind_contextvars(task_id=self._run.task_id)  # every call inherits it
        with self._executor_slots.of(self._key) as self._own_slots:
            await self._dispatch()

    async def _dispatch(self) -> None:
        try:
            while self._queue and await self._acquire_slot():
                if self._loop.time() >= self._deadline:
                    self._release_slot()
                    break
                batch = self._queue.popleft()
                self._begin(batch)
                self._start_attempt(batch)
            if self._held_slots:
                self._idle.clear()
                await self._idle.wait()
        except asyncio.CancelledError:
            await self._stop_all()
            raise
        finally:
            self._closed = True
            self._deadlines.close()
            for attempt in tuple(self._attempts):
                attempt.leave()

    async def _acquire_slot(self) -> bool:
        """Take one of the key's slots and one of all; false where the task's time is up before."""
        if self._own_slots.take():
            if self._slots.take():
                self._count_slot()
                return True
            self._own_slots.release()
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._own_slots.acquire()
                try:
                    await self._slots.acquire()
                except BaseException:
                    self._own_slots.release()
                    raise
        except TimeoutError:
            return False
        self._count_slot()
        return True

    def _count_slot(self) -> None:
        self._held_slots += 1
        self._running[self._name] += 1

    def _release_slot(self) -> None:
        self._held_slots -= 1
        self._running[self._name] -= 1
        self._slots.release()
        self._own_slots.release()
        if not self._held_slots:
            self._idle.set()

    def _begin(self, batch: Sequence[RunningItem]) -> None:
        now = self._loop.time()
        for running in batch:
            timeout = running.planned.timeout
            running.started = now
            running.deadline = self._deadline if timeout is None else min(self._deadline, now + timeout)
        self._writer.started(batch)

    def _start_attempt(self, batch: Sequence[RunningItem]) -> None:
        deadline = batch[0].deadline
        run = self._run if deadline == self._deadline else evolve(self._run, deadline=deadline)
        attempt = Attempt(self._calls, run, batch)
        self._attempts.add(attempt)
        attempt.start()
        self._deadlines.watch(attempt)

    def _attempt_done(self, attempt: Attempt) -> None:
        self._attempts.discard(attempt)
        self._deadlines.forget(attempt)
        if not attempt.to_retry or not self._retry_later(attempt.to_retry):
            self._release_slot()

    def _retry_later(self, failed: Sequence[ItemOutcome]) -> bool:
        """Try items again after a pause; one whose time would be up by then keeps the outcome it has."""
        if self._closed:
            self._cancel(failed)
            return False
        resume_at = self._loop.time() + _BACKOFF.delay(failed[0][0].attempt)
        again = []
        for outcome in failed:
            running = outcome[0]
            if running.deadline <= resume_at:
                self._writer.ended(outcome)
            else:
                again.append(outcome)
                running.attempt += 1
                self._writer.retried(running, outcome[1].reason)
        if not again:
            return False
        self._retries.inc(len(again))
        first = again[0][0]
        self._paused[first] = self._loop.call_at(resume_at, self._resume, first), again
        return True

    def _resume(self, first: RunningItem) -> None:
        _, again = self._paused.pop(first)
        self._start_attempt([running for running, _, _ in again])

    async def _stop_all(self) -> None:
        """The task was canceled: stop what runs, and give up what waits for another attempt."""
        self._closed = True
        while self._paused:
            _, (timer, failed) = self._paused.popitem()
            timer.cancel()
            self._cancel(failed)
            self._release_slot()
        async with asyncio.TaskGroup() as group:
            for attempt in tuple(self._attempts):
                group.create_task(attempt.stop(self._canceled))

    def _cancel(self, failed: Sequence[ItemOutcome]) -> None:
        for running, _, _ in failed:
            text = result_text(running.planned, self._canceled, self._loop.time() - running.started)
            self._writer.ended((running, self._canceled, text))
