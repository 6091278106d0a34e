"""The store under test, and the tasks that the suite submits."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import ClassVar

import pytest
from attrs import evolve, frozen

from candy_core.codec import encode
from candy_core.model.task import (
    ItemStatus,
    Json,
    Outcome,
    TaskStatus,
)
from candy_core.ports.planned_item import ItemRecord, PlannedItem
from candy_core.ports.task_store import Claim, Ending, NewDelivery, NewTask, StoreLimits, TaskStore

CUT_OFF = Outcome(status=ItemStatus.FAILED, reason="timeout", message="cut off")


@frozen(kw_only=True)
class OpenedStore:
    """A store under test. ``advance`` moves its clock by some seconds, since tests do not wait for a real clock."""

    store: TaskStore
    advance: Callable[[float], Awaitable[None]]


def new_task(items: int = 2, **changes: object) -> NewTask:
    """A task with a unique id and items ``0 … n-1``."""
    task = NewTask(
        task_id=f"t-{uuid.uuid4().hex}",
        digest=b"one",
        items=tuple(PlannedItem(id=index, type="test", name=f"item {index}") for index in range(items)),
    )
    return evolve(task, **changes)  # type: ignore[arg-type]  # the fields of NewTask, by name


def result_of(
    item: tuple[int, PlannedItem], status: ItemStatus = ItemStatus.NORMAL, value: str = "1", details: str = ""
) -> ItemRecord:
    """The result of a claim's item as the agent would write it."""
    index, planned = item
    outcome = Outcome(status=status, reason="ok", value=value, details=details)
    return ItemRecord(index, status, encode(planned.result(outcome, seconds=0.007)))


def delivery(reporter: str = "callback", max_age: float = 3600.0) -> NewDelivery:
    """A new delivery."""
    return NewDelivery(id=uuid.uuid4().hex, reporter=reporter, callback=None, max_age=max_age)


def ending(*deliveries: NewDelivery, status: TaskStatus = TaskStatus.COMPLETED) -> Ending:
    """The ending of a task in these tests."""
    return Ending(status=status, message="Task completed", fill=CUT_OFF, deliveries=deliveries)


class StoreSuite:
    """The base of the suite's classes."""

    limits: ClassVar[StoreLimits] = StoreLimits(
        max_pending=3, queue_bytes=1_000_000, keep_seconds=3600.0, keep_bytes=1_000_000, outbox_bytes=1_000_000
    )

    @pytest.fixture
    async def opened(self) -> OpenedStore:
        """The store under test, opened with :attr:`limits` by a subclass."""
        raise NotImplementedError("a subclass of TaskStoreSuite has a fixture `opened` that gives an OpenedStore")

    @pytest.fixture
    def store(self, opened: OpenedStore) -> TaskStore:
        """The store itself."""
        return opened.store

    @staticmethod
    async def claimed(store: TaskStore, *, limit: int = 10_000, lease: float = 30.0) -> Claim:
        """A claim, which must succeed."""
        claim = await store.claim("worker", limit=limit, lease=lease, wait=0)
        assert claim is not None
        return claim

    @staticmethod
    async def finished(store: TaskStore, task: NewTask, how: Ending, details: str = "") -> None:
        """Run a task to its end, with all items normal and with ``details``."""
        claim = await StoreSuite.claimed(store)
        assert claim.task_id == task.task_id
        results = [result_of(item, details=details) for item in claim.items]
        await store.record(claim.lease, results, running=0)
        await store.release(claim.lease)
        assert await store.finish(task.task_id, how)

    @staticmethod
    async def document(store: TaskStore, task: NewTask) -> dict[str, Json]:
        """A task's result object."""
        text = await store.read_result(task.task_id)
        assert text is not None
        value: dict[str, Json] = json.loads(text)
        return value
