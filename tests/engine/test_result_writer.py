"""What comes of a claim's items goes into the store together, and nothing of it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from attrs import define

from candy_core.clock import SystemClock
from candy_core.engine.batching import RunningItem
from candy_core.engine.result_writer import ResultWriter
from candy_core.errors import BackendUnavailable
from candy_core.metrics import Metrics
from candy_core.model.task import ItemStatus, LogEntry, Outcome
from candy_core.ports.executor import Item
from candy_core.ports.planned_item import ItemRecord, PlannedItem
from candy_core.ports.task_store import StoreLimits
from candy_core.store import MemoryStore


def part(index: int) -> RunningItem:
    return RunningItem(
        index, PlannedItem(id=index, type="t"), Item(index=index, id=index, name="", params=None), 0.0, deadline=1.0
    )


def told(index: int) -> tuple[RunningItem, Outcome, bytes]:
    return part(index), Outcome(status=ItemStatus.NORMAL, reason="ok"), b"{}"


@define
class Written:
    """A call of the store's: the results' indices, the log's events, and what runs."""

    results: list[int]
    events: list[str]
    running: int


class Slow(MemoryStore):
    """A store far away: a call waits until it is let through."""

    def __init__(self) -> None:
        super().__init__(StoreLimits())
        self.through = asyncio.Semaphore(0)
        self.calls: list[Written] = []
        self.fails = False

    async def record(
        self, lease: str, results: Sequence[ItemRecord], *, running: int, log: Sequence[LogEntry] = ()
    ) -> int:
        self.calls.append(Written([result.index for result in results], [entry.event for entry in log], running))
        await self.through.acquire()
        if self.fails:
            raise BackendUnavailable("the store is away")
        return 0


def journal_of(store: Slow) -> ResultWriter:
    return ResultWriter(store, "lease", types={"t"}, metrics=Metrics("test"), clock=SystemClock())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_comes_while_the_store_is_busy_goes_in_one_call() -> None:
    store = Slow()
    journal = journal_of(store)
    async with asyncio.TaskGroup() as group:
        group.create_task(journal.write())
        journal.started([part(0), part(1), part(2)])
        await turns()
        journal.ended(told(0))
        await turns()
        journal.ended(told(1))
        journal.retried(part(2), "timeout")
        store.through.release()
        await turns()
        journal.ended(told(2))
        journal.close()
        store.through.release()
        store.through.release()
    assert store.calls == [
        Written([], ["item_started"] * 3, 3),
        Written([0, 1], ["item_ended", "item_ended", "item_retry"], 1),
        Written([2], ["item_ended"], 0),
    ]


async def test_what_a_cancel_left_unwritten_can_still_be_written() -> None:
    store = Slow()
    journal = journal_of(store)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(journal.write())
        journal.started([part(0)])
        journal.ended(told(0))
        await turns()
        journal.ended(told(1))
        writing.cancel()
    store.through.release()
    await journal.flush()
    assert [call.results for call in store.calls] == [[0], [0, 1]]


async def test_a_store_that_has_failed_is_not_asked_again() -> None:
    """Its items are free once the lease has run out, and whoever holds them next runs them."""
    store = Slow()
    store.fails = True
    store.through.release()
    journal = journal_of(store)
    journal.ended(told(0))
    with pytest.raises(BackendUnavailable):
        await journal.write()
    journal.ended(told(1))
    await journal.flush()
    assert len(store.calls) == 1
