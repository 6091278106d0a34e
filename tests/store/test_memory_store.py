"""The embedded store against the suite that every task store must pass."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from candy_core.model.task import LogEntry
from candy_core.ports.task_store import StoreLimits
from candy_core.store.memory_store import MemoryStore
from candy_core.store.spool import Spool
from candy_core.store.task_row import LOG_LIMIT
from candy_core.testing.task_store import OpenedStore, TaskStoreSuite, delivery, ending, new_task


class SetClock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def advance(self, seconds: float) -> None:
        self.seconds += seconds


class TestMemoryStore(TaskStoreSuite):
    @pytest.fixture
    async def opened(self) -> OpenedStore:
        clock = SetClock()
        return OpenedStore(store=MemoryStore(self.limits, clock=clock), advance=clock.advance)


async def ended(store: MemoryStore) -> str:
    """A task without results that has ended; gives its id."""
    task = new_task()
    await store.submit(task)
    assert await store.finish(task.task_id, ending())
    return task.task_id


async def test_of_two_who_end_a_task_at_once_one_does_and_the_disk_keeps_no_trace_of_the_other(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        store = MemoryStore(StoreLimits(), spool=spool)
        task = new_task()
        await store.submit(task)
        both = await asyncio.gather(*(store.finish(task.task_id, ending(delivery())) for _ in range(2)))
        assert sorted(both) == [False, True]
        counts = await store.counts()
        assert (counts.received, counts.waiting) == (1, 1)
        claim = await store.claim_delivery("callback", lease=30, wait=0)
        assert claim is not None
        assert [entry.id for entry in spool.load()] == [claim.delivery.id]


async def test_a_log_that_grows_after_the_end_counts_as_bytes_that_are_kept() -> None:
    store = MemoryStore(StoreLimits(keep_bytes=100_000))
    first, second = await ended(store), await ended(store)
    assert await store.read(first) is not None
    await store.append_log(second, [LogEntry(time=datetime.now(UTC), level="info", event="x", detail="y" * 100_000)])
    assert await store.read(first) is None
    assert await store.read(second) is not None


async def test_a_log_that_is_full_loses_its_oldest_entries_and_says_how_many() -> None:
    """Contract §2: '`{"task_id","entries":[…],"dropped"}`'."""
    store = MemoryStore(StoreLimits())
    task = new_task()
    await store.submit(task)
    moment = datetime.now(UTC)
    for start in (0, LOG_LIMIT):
        entries = [LogEntry(time=moment, level="info", event=str(start + number)) for number in range(LOG_LIMIT)]
        await store.append_log(task.task_id, entries[: 3 if start else None])
    log = await store.read_log(task.task_id)
    assert log is not None
    assert log.dropped == 3
    assert (log.entries[0].event, log.entries[-1].event) == ("3", str(LOG_LIMIT + 2))


async def test_whoever_waits_for_a_delivery_is_given_one_whose_lease_runs_out_meanwhile() -> None:
    store = MemoryStore(StoreLimits())
    task = new_task()
    await store.submit(task)
    await store.finish(task.task_id, ending(delivery()))
    assert await store.claim_delivery("callback", lease=0.05, wait=0) is not None
    # At all: the lease runs out at once, and the wait would last for an hour.
    assert await store.claim_delivery("callback", lease=30, wait=3600) is not None


async def test_dead_letters_of_an_earlier_process_are_listed_by_when_they_were_given_up(tmp_path: Path) -> None:
    """Contract §4: "in the dead letters"; with a bound on their bytes, the oldest go first, on the disk too."""
    clock = SetClock()
    with Spool(tmp_path) as spool:
        store = MemoryStore(StoreLimits(), clock=clock, spool=spool)
        for _ in range(3):
            task = new_task()
            await store.submit(task)
            await store.finish(task.task_id, ending(delivery()))
            await clock.advance(1)
        claims = [await store.claim_delivery("callback", lease=30, wait=0) for _ in range(3)]
        buried = []
        for claim in reversed(claims):
            assert claim is not None
            await store.dead_letter(claim.lease, "404")
            buried.append(claim)
            await clock.advance(1)
        later = MemoryStore(StoreLimits(), clock=clock, spool=spool)
        await later.restore()
        page = await later.dead_letters(limit=10, cursor=None)
        assert [letter.id for letter in page.deadletters] == [claim.delivery.id for claim in reversed(buried)]
        assert page.deadletters[0].given_up_at == clock.now() - timedelta(seconds=1)
        two = 2 * len(buried[0].delivery.document)
        await MemoryStore(StoreLimits(outbox_bytes=two), clock=clock, spool=spool).restore()
        assert {entry.id for entry in spool.load()} == {claim.delivery.id for claim in buried[1:]}


async def test_an_age_goes_on_across_a_restart(tmp_path: Path) -> None:
    """Contract §4: "all until `plugins.callback.max_age`", also where the agent was away in between."""
    clock = SetClock()
    with Spool(tmp_path) as spool:
        store = MemoryStore(StoreLimits(), clock=clock, spool=spool)
        task = new_task()
        await store.submit(task)
        await store.finish(task.task_id, ending(delivery()))
        await clock.advance(3600)
        later = MemoryStore(StoreLimits(), clock=clock, spool=spool)
        await later.restore()
        claim = await later.claim_delivery("callback", lease=30, wait=0)
        assert claim is not None
        assert claim.age == 3600
