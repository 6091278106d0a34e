"""Takes claims from the store and runs them, as many at once as there is room for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from candy_core.engine.ending import Ender
from candy_core.engine.limiter import Limiter
from candy_core.engine.runner import LEASE_SECONDS, ClaimRun
from candy_core.engine.runner_parts import RunnerParts
from candy_core.model.task import Event, LogEntry
from candy_core.ports.task_store import Claim

WAIT_SECONDS = 5.0
"""How long one question for work waits; no look for longer than a few of these means that checks have stopped."""

FAULT_PAUSE = 1.0
"""Seconds to wait after a fault of the store's or of our own."""

ENDERS = 4
WHOLE_TASK = 10_000
"""The items of one claim where one agent has the store to itself: more than any task has."""


class Scheduler:
    """The loops that keep the engine going."""

    def __init__(self, parts: RunnerParts, ender: Ender, rooms: Limiter, *, worker: str, slice_size: int) -> None:
        self._parts = parts
        self._store = parts.store
        self._ender = ender
        self._rooms = rooms
        self._worker = worker
        self._slice_size = slice_size
        self._monotonic = parts.clock.monotonic
        self._last_look = self._monotonic()
        self._faults = {"start": "not started"}
        """What fails at present, by the loop that it fails in: one that succeeds says nothing of the others."""

    @property
    def stalled(self) -> str | None:
        """Why checks have stopped, or ``None`` while they go on."""
        silent = self._monotonic() - self._last_look  # a look is also to find that there is no room
        if silent > 4 * WAIT_SECONDS:
            return f"no look for work in the last {silent:.0f} s"
        return next(iter(self._faults.values()), None)

    async def run(self) -> None:
        """Go on until cancelled. A store that fails is asked again, and until it answers checks count as stopped."""
        self._faults.clear()
        self._last_look = self._monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(ENDERS):
                group.create_task(self._repeat("end", self._end_one))
            await self._repeat("start", lambda: self._start_one(group))

    async def _repeat(self, what: str, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
                self._faults.pop(what, None)
            except Exception as error:  # whatever the store raises: the engine must go on
                self._parts.logger.exception("engine_fault", error=str(error))
                self._faults[what] = f"the task store fails: {type(error).__name__}"
                await asyncio.sleep(FAULT_PAUSE)

    async def _start_one(self, group: asyncio.TaskGroup) -> None:
        self._last_look = self._monotonic()
        async with asyncio.timeout(WAIT_SECONDS) as patience:
            try:
                await self._rooms.acquire()
            except asyncio.CancelledError:
                if patience.expired():
                    return
                raise
            patience.reschedule(None)
        claim = None
        try:
            claim = await self._store.claim(
                self._worker, limit=self._slice_size, lease=LEASE_SECONDS, wait=WAIT_SECONDS
            )
        finally:
            if claim is None:
                self._rooms.release()
        if claim is not None:
            group.create_task(self._run(claim))

    async def _run(self, claim: Claim) -> None:
        try:
            if claim.started:
                await self._tell_of_start(claim)
            await ClaimRun(self._parts, claim).run()
        except Exception:  # a fault of our own: the lease is released, and the task's timeout will end it
            self._parts.logger.exception("claim_failed", task_id=claim.task_id)
            await asyncio.sleep(FAULT_PAUSE)  # in its room: the items are free again, and would fail again at once
        finally:
            self._rooms.release()

    async def _tell_of_start(self, claim: Claim) -> None:
        entry = LogEntry(time=self._parts.clock.now(), level="info", event="task_started")
        await self._store.append_log(claim.task_id, [entry])
        if claim.callback is not None and Event.STARTED in claim.callback.events:
            state = await self._store.read(claim.task_id)
            if state is not None:
                self._parts.announce(Event.STARTED, state, claim.callback)

    async def _end_one(self) -> None:
        claim = await self._store.claim_ending(self._worker, lease=LEASE_SECONDS, wait=WAIT_SECONDS)
        if claim is not None:
            await self._ender.end(claim)
