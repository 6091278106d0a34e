"""Takes claims from the store and runs them, as many at once as there are task slots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from candy_core.engine.finisher import TaskFinisher
from candy_core.engine.limiter import Limiter
from candy_core.engine.runner import LEASE_SECONDS, ClaimRun
from candy_core.engine.runner_context import RunnerContext
from candy_core.model.task import Event, LogEntry
from candy_core.ports.task_store import Claim

WAIT_SECONDS = 5.0
"""How long one request for work waits; none for a few times as long means that execution has stopped."""

FAULT_PAUSE = 1.0
"""Seconds to wait after a fault of the store's or of our own."""

FINISHERS = 4
WHOLE_TASK = 10_000
"""The items of one claim where one agent has the store to itself: more than any task has."""


class Scheduler:
    """The loops that keep the engine going."""

    def __init__(
        self, context: RunnerContext, finisher: TaskFinisher, task_slots: Limiter, *, worker: str, slice_size: int
    ) -> None:
        self._context = context
        self._store = context.store
        self._finisher = finisher
        self._task_slots = task_slots
        self._worker = worker
        self._slice_size = slice_size
        self._monotonic = context.clock.monotonic
        self._last_poll = self._monotonic()
        self._faults = {"start": "not started"}
        """What fails at present, by the loop that it fails in: a success of one says nothing about the others."""

    @property
    def stalled(self) -> str | None:
        """Why no items are being run, or ``None`` while they are."""
        silent = self._monotonic() - self._last_poll  # finding no free slot counts as a poll
        if silent > 4 * WAIT_SECONDS:
            return f"the task store was not polled in the last {silent:.0f} s"
        return next(iter(self._faults.values()), None)

    async def run(self) -> None:
        """Go on until canceled. A failing store is polled again, and until it answers execution counts as stopped."""
        self._faults.clear()
        self._last_poll = self._monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(FINISHERS):
                group.create_task(self._repeat("finish", self._finish_one))
            await self._repeat("start", lambda: self._start_one(group))

    async def _repeat(self, what: str, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
                self._faults.pop(what, None)
            except Exception as error:  # whatever the store raises: the engine must go on
                self._context.logger.exception("engine_fault", error=str(error))
                self._faults[what] = f"the task store fails: {type(error).__name__}"
                await asyncio.sleep(FAULT_PAUSE)

    async def _start_one(self, group: asyncio.TaskGroup) -> None:
        self._last_poll = self._monotonic()
        async with asyncio.timeout(WAIT_SECONDS) as timer:
            try:
                await self._task_slots.acquire()
            except asyncio.CancelledError:
                if timer.expired():
                    return
                raise
            timer.reschedule(None)
        claim = None
        try:
            claim = await self._store.claim(
                self._worker, limit=self._slice_size, lease=LEASE_SECONDS, wait=WAIT_SECONDS
            )
        finally:
            if claim is None:
                self._task_slots.release()
        if claim is not None:
            group.create_task(self._run(claim))

    async def _run(self, claim: Claim) -> None:
        try:
            if claim.started:
                await self._report_start(claim)
            await ClaimRun(self._context, claim).run()
        except Exception:  # a fault of our own: the lease is released, and the task's timeout will end it
            self._context.logger.exception("claim_failed", task_id=claim.task_id)
            await asyncio.sleep(FAULT_PAUSE)  # in its slot: the items are free again, and would fail again at once
        finally:
            self._task_slots.release()

    async def _report_start(self, claim: Claim) -> None:
        entry = LogEntry(time=self._context.clock.now(), level="info", event="task_started")
        await self._store.append_log(claim.task_id, [entry])
        if claim.callback is not None and Event.STARTED in claim.callback.events:
            state = await self._store.read(claim.task_id)
            if state is not None:
                self._context.announce(Event.STARTED, state, claim.callback)

    async def _finish_one(self) -> None:
        claim = await self._store.claim_ending(self._worker, lease=LEASE_SECONDS, wait=WAIT_SECONDS)
        if claim is not None:
            await self._finisher.finish(claim)
