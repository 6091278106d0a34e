"""Runs a claim: gives every item its turn within the limits, keeps the lease, records what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from candy_core.engine.gathering import gather
from candy_core.engine.journal import Journal
from candy_core.engine.line import Line
from candy_core.engine.result_text import result_text
from candy_core.engine.runner_parts import RunnerParts
from candy_core.model.task import Event
from candy_core.ports.task_store import Claim, Until

LEASE_SECONDS = 30.0
PROGRESS_SECONDS = 2.0


class ClaimRun:
    """One claim, from its lease to its release. Used once."""

    def __init__(self, parts: RunnerParts, claim: Claim) -> None:
        self._shared = parts
        self._store = parts.store
        self._claim = claim
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + claim.remaining
        self._log = parts.logger.bind(task_id=claim.task_id)
        self._journal = Journal(
            parts.store, claim.lease, types=parts.executors, metrics=parts.metrics, clock=parts.clock
        )

    async def run(self) -> None:
        """Run what can be run until the task's deadline or its cancel. A plugin's fault costs its own item alone."""
        try:
            try:
                async with asyncio.TaskGroup() as group:
                    work = group.create_task(self._work())
                    keeper = group.create_task(self._keep(work))
                    group.create_task(self._journal.write())
                    await asyncio.wait((work,))
                    keeper.cancel()
                    self._journal.close()
            finally:
                await self._journal.flush()  # what there was no time for
        finally:
            await self._store.release(self._claim.lease)

    async def _keep(self, work: asyncio.Task[None]) -> None:
        """Hold the lease, pass a cancel on, and tell of progress where the task asks for it."""
        callback = self._claim.callback
        tells = callback is not None and Event.PROGRESS in callback.events
        while True:
            state = await self._store.wait(
                self._claim.task_id, Until.CANCELED, PROGRESS_SECONDS if tells else LEASE_SECONDS / 3
            )
            renewal = await self._store.renew(self._claim.lease, LEASE_SECONDS)
            if not renewal.held or renewal.canceled is not None:
                work.cancel()
                return
            if tells and state is not None:
                self._shared.announce(Event.PROGRESS, state, callback)

    async def _work(self) -> None:
        gathered = gather(self._claim, self._shared.executors)
        now = self._loop.time()
        for part, outcome in gathered.refused:
            part.started = now
            self._journal.ended((part, outcome, result_text(part.planned, outcome)))
        async with asyncio.TaskGroup() as group:

            def aside(work: Coroutine[None, None, None]) -> None:
                try:
                    group.create_task(work)
                except RuntimeError:  # the group is ending, and so every line of it is stopping what it has begun
                    work.close()

            for share, queue in gathered.calls.items():
                line = Line(
                    self._shared,
                    self._claim,
                    share,
                    queue,
                    deadline=self._deadline,
                    journal=self._journal,
                    log=self._log,
                    aside=aside,
                )
                group.create_task(line.serve())
