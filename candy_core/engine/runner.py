"""Runs a claim: dispatches its items, keeps the lease, records the results."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from candy_core.engine.batching import plan_calls
from candy_core.engine.dispatcher import Dispatcher
from candy_core.engine.result_writer import ResultWriter
from candy_core.engine.runner_context import RunnerContext
from candy_core.model.task import Event
from candy_core.ports.task_store import Claim, Until
from candy_core.store.result_text import result_text

LEASE_SECONDS = 30.0
PROGRESS_SECONDS = 2.0


class ClaimRun:
    """One claim, from its lease to its release. Used once."""

    def __init__(self, context: RunnerContext, claim: Claim) -> None:
        self._context = context
        self._store = context.store
        self._claim = claim
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + claim.remaining
        self._log = context.logger.bind(task_id=claim.task_id)
        self._writer = ResultWriter(
            context.store, claim.lease, types=context.executors, metrics=context.metrics, clock=context.clock
        )

    async def run(self) -> None:
        """Run what can be run before the task's deadline or its cancel. A plugin's fault costs its own item alone."""
        try:
            try:
                async with asyncio.TaskGroup() as group:
                    work = group.create_task(self._work())
                    lease = group.create_task(self._keep_lease(work))
                    group.create_task(self._writer.write())
                    await asyncio.wait((work,))
                    lease.cancel()
                    self._writer.close()
            finally:
                await self._writer.flush()  # what a cancel left unwritten
        finally:
            await self._store.release(self._claim.lease)

    async def _keep_lease(self, work: asyncio.Task[None]) -> None:
        """Renew the lease, pass a cancel on, and report progress where the task asks for it."""
        callback = self._claim.callback
        reports = callback is not None and Event.PROGRESS in callback.events
        while True:
            state = await self._store.wait(
                self._claim.task_id, Until.CANCELED, PROGRESS_SECONDS if reports else LEASE_SECONDS / 3
            )
            renewal = await self._store.renew(self._claim.lease, LEASE_SECONDS)
            if not renewal.held or renewal.canceled is not None:
                work.cancel()
                return
            if reports and state is not None:
                self._context.announce(Event.PROGRESS, state, callback)

    async def _work(self) -> None:
        plan = plan_calls(self._claim, self._context.executors)
        now = self._loop.time()
        for running, outcome in plan.rejected:
            running.started = now
            self._writer.ended((running, outcome, result_text(running.planned, outcome)))
        async with asyncio.TaskGroup() as group:

            def spawn(work: Coroutine[None, None, None]) -> None:
                try:
                    group.create_task(work)
                except RuntimeError:  # the group is ending, so every dispatcher is stopping what it has begun
                    work.close()

            for key, queue in plan.calls.items():
                dispatcher = Dispatcher(
                    self._context,
                    self._claim,
                    key,
                    queue,
                    deadline=self._deadline,
                    writer=self._writer,
                    log=self._log,
                    spawn=spawn,
                )
                group.create_task(dispatcher.run())
