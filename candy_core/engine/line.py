"""The calls of a claim in one share: gives each its place within the limits, its time, and its further attempts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence

import structlog
from attrs import evolve

from candy_core.engine.attempt import Asking, Attempt, Told, canceled
from candy_core.engine.deadlines import Deadlines
from candy_core.engine.gathering import Part, Queue, Share
from candy_core.engine.journal import Journal
from candy_core.engine.result_text import result_text
from candy_core.engine.runner_parts import RunnerParts
from candy_core.model.task import Reason
from candy_core.ports.context import Logger
from candy_core.ports.executor import Run
from candy_core.ports.task_store import Claim

_RETRIABLE = (Reason.UNREACHABLE, Reason.TIMEOUT)
_FIRST_PAUSE = 0.2


class Line:
    """Used once. A call holds its place from its start until it has ended, its pauses between attempts included.

    ``deadline`` is the task's, on the loop's clock; ``aside`` runs something beside the line that ends with it.
    """

    def __init__(
        self,
        shared: RunnerParts,
        claim: Claim,
        share: Share,
        queue: Queue,
        *,
        deadline: float,
        journal: Journal,
        log: Logger,
        aside: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        hosted, _ = share
        self._loop = asyncio.get_running_loop()
        self._queue = queue
        self._deadline = deadline
        self._journal = journal
        self._aside = aside
        self._slots = shared.slots
        self._share = share
        self._shares = shared.executor_slots
        self._running = shared.metrics.running
        self._name = hosted.name
        self._retries = shared.metrics.item_retries.labels(hosted.name)
        self._deadlines = Deadlines(deadline, lambda attempt: aside(attempt.stop_late()))
        self._canceled = canceled(claim.locale)
        self._run = Run(
            task_id=claim.task_id,
            time=claim.evaluation_time,
            locale=claim.locale,
            deadline=deadline,
            logger=log,
        )
        self._asking = Asking(
            calls=shared.calls,
            metrics=shared.metrics,
            hosted=hosted,
            log=log,
            tell=self._told,
            answered=lambda attempt: aside(attempt.stop(self._canceled)),
            over=self._over,
        )
        self._open: set[Attempt] = set()
        self._pauses: dict[Part, tuple[asyncio.TimerHandle, Sequence[Told]]] = {}
        """By the first part of each."""
        self._places = 0
        self._idle = asyncio.Event()
        self._closed = False

    async def serve(self) -> None:
        """Make all calls, and return once the last is over. What had no turn by the deadline is left to the ending."""
        structlog.contextvars.bind_contextvars(task_id=self._run.task_id)  # every call inherits it
        with self._shares.of(self._share) as self._own_slots:
            await self._serve()

    async def _serve(self) -> None:
        try:
            while self._queue and await self._room():
                if self._loop.time() >= self._deadline:
                    self._give_place_back()
                    break
                parts = self._queue.popleft()
                self._begin(parts)
                self._ask(parts)
            if self._places:
                self._idle.clear()
                await self._idle.wait()
        except asyncio.CancelledError:
            await self._stop_all()
            raise
        finally:
            self._closed = True
            self._deadlines.close()
            for attempt in tuple(self._open):
                attempt.leave()

    async def _room(self) -> bool:
        """Take one of the share's places and one among all; false where the task's time is up before."""
        if self._own_slots.take():
            if self._slots.take():
                self._take_place()
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
        self._take_place()
        return True

    def _take_place(self) -> None:
        self._places += 1
        self._running[self._name] += 1

    def _give_place_back(self) -> None:
        self._places -= 1
        self._running[self._name] -= 1
        self._slots.release()
        self._own_slots.release()
        if not self._places:
            self._idle.set()

    def _begin(self, parts: Sequence[Part]) -> None:
        now = self._loop.time()
        for part in parts:
            timeout = part.planned.timeout
            part.started = now
            part.deadline = self._deadline if timeout is None else min(self._deadline, now + timeout)
        self._journal.started(parts)

    def _ask(self, parts: Sequence[Part]) -> None:
        deadline = parts[0].deadline
        run = self._run if deadline == self._deadline else evolve(self._run, deadline=deadline)
        attempt = Attempt(self._asking, run, parts)
        self._open.add(attempt)
        attempt.start()
        self._deadlines.watch(attempt)

    def _told(self, attempt: Attempt, told: Told, last: bool) -> None:
        part, outcome, _ = told
        if not last and part.attempt <= part.planned.retries and outcome.reason in _RETRIABLE:
            attempt.again.append(told)
        else:
            self._journal.ended(told)

    def _over(self, attempt: Attempt) -> None:
        self._open.discard(attempt)
        self._deadlines.forget(attempt)
        if not attempt.again or not self._pause(attempt.again):
            self._give_place_back()

    def _pause(self, failed: Sequence[Told]) -> bool:
        """Have them asked again after a pause; whose time would be over by then keeps the outcome it has."""
        if self._closed:
            self._cancel(failed)
            return False
        pause = _FIRST_PAUSE * 2 ** (failed[0][0].attempt - 1) * (0.5 + random.random())  # noqa: S311  # jitter
        resume = self._loop.time() + pause
        again = []
        for told in failed:
            part, outcome, _ = told
            if part.deadline <= resume:
                self._journal.ended(told)
            else:
                again.append(told)
                part.attempt += 1
                self._journal.tried_again(part, outcome.reason)
        if not again:
            return False
        self._retries.inc(len(again))
        first = again[0][0]
        self._pauses[first] = self._loop.call_at(resume, self._resume, first), again
        return True

    def _resume(self, first: Part) -> None:
        _, again = self._pauses.pop(first)
        self._ask([part for part, _, _ in again])

    async def _stop_all(self) -> None:
        """The task was cancelled: what runs is stopped, and what waits for another attempt has none."""
        self._closed = True
        while self._pauses:
            _, (timer, failed) = self._pauses.popitem()
            timer.cancel()
            self._cancel(failed)
            self._give_place_back()
        async with asyncio.TaskGroup() as group:
            for attempt in tuple(self._open):
                group.create_task(attempt.stop(self._canceled))

    def _cancel(self, failed: Sequence[Told]) -> None:
        for part, _, _ in failed:
            text = result_text(part.planned, self._canceled, self._loop.time() - part.started)
            self._journal.ended((part, self._canceled, text))
