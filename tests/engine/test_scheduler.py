"""The loops that keep the engine going, over stores that fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from candy_core.model.task import LogEntry
from candy_core.ports.planned_item import ItemRecord
from candy_core.ports.task_store import Claim, StoreLimits
from candy_core.store import MemoryStore
from candy_testbed import eventually

from .conftest import engine_at_work, item


class SetClock:
    """A clock that goes on when it is told to."""

    seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


async def test_a_store_that_fails_counts_as_checks_stopped_until_it_answers_again() -> None:
    """Contract §4: '`error` (checks have stopped …)'."""

    class Failing(MemoryStore):
        fails = True

        async def claim_ending(self, worker: str, *, lease: float, wait: float) -> Claim | None:
            if self.fails:
                raise ConnectionError
            return await super().claim_ending(worker, lease=lease, wait=wait)

    store = Failing(StoreLimits())
    async with engine_at_work(store=store) as bench:
        task_id = await bench.submit(item(1))
        await eventually(lambda: bench.stage.entered == [1])
        await eventually(lambda: bench.engine.stalled == "the task store fails: ConnectionError")
        store.fails = False
        assert (await bench.result(task_id))["status"] == "completed"
        await eventually(lambda: bench.engine.stalled is None)


async def test_one_loop_that_works_does_not_hide_that_another_fails() -> None:
    class Failing(MemoryStore):
        async def claim_ending(self, worker: str, *, lease: float, wait: float) -> Claim | None:
            raise ConnectionError

    async with engine_at_work(store=Failing(StoreLimits())) as bench:
        await eventually(lambda: bench.engine.stalled is not None)
        for number in range(3):
            await bench.submit(item(number))
        await eventually(lambda: len(bench.stage.entered) == 3)
        assert bench.engine.stalled is not None


async def test_a_store_that_does_not_answer_counts_as_checks_stopped() -> None:
    class Silent(MemoryStore):
        async def claim(self, worker: str, *, limit: int, lease: float, wait: float) -> Claim | None:
            await asyncio.Event().wait()
            return None

    clock = SetClock()
    async with engine_at_work(store=Silent(StoreLimits()), clock=clock) as bench:
        await eventually(lambda: bench.engine.stalled is None)
        clock.seconds += 60
        assert bench.engine.stalled == "the task store was not polled in the last 60 s"


async def test_a_look_that_finds_nothing_takes_no_room() -> None:
    class Idle(MemoryStore):
        looks = 0

        async def claim(self, worker: str, *, limit: int, lease: float, wait: float) -> Claim | None:
            self.looks += 1
            await asyncio.sleep(0)
            return None if self.looks < 100 else await super().claim(worker, limit=limit, lease=lease, wait=wait)

    async with engine_at_work(store=Idle(StoreLimits())) as bench:
        assert (await bench.run(item(1)))["status"] == "completed"


async def test_a_claim_that_fails_is_tried_again_and_not_as_fast_as_it_can() -> None:
    class Full(MemoryStore):
        refused = 0

        async def record(
            self, lease: str, results: Sequence[ItemRecord], *, running: int, log: Sequence[LogEntry] = ()
        ) -> int:
            if self.refused < 10:
                self.refused += 1
                raise OSError
            return await super().record(lease, results, running=running, log=log)

    store = Full(StoreLimits())
    async with engine_at_work(store=store) as bench:
        bench.limits["tasks"] = 2
        task_id = await bench.submit(item(1))
        began = time.monotonic()
        await eventually(lambda: store.refused >= 5)
        assert time.monotonic() - began > 1.5, "two rooms, and a second between two attempts in one of them"
        store.refused = 10
        assert (await bench.result(task_id))["status"] == "completed"
