"""Deliveries and dead letters."""

from __future__ import annotations

import asyncio
import json

import pytest
from attrs import evolve

from candy_core.errors import NotFound, Overloaded
from candy_core.model.task import (
    Callback,
)
from candy_core.ports.task_store import (
    DeliveryClaim,
    NewDelivery,
    NewTask,
    TaskStore,
)
from candy_core.testing.task_store.base import OpenedStore, StoreSuite, delivery, ending, new_task


class DeliveriesSuite(StoreSuite):
    """The deliveries of ended tasks."""

    @staticmethod
    async def _finished_with(store: TaskStore, *deliveries: NewDelivery, details: str = "") -> NewTask:
        task = new_task(items=1)
        await store.submit(task)
        await StoreSuite.finished(store, task, ending(*deliveries), details)
        return task

    @staticmethod
    async def _claimed(store: TaskStore) -> DeliveryClaim:
        claim = await store.claim_delivery("callback", lease=30, wait=0)
        assert claim is not None
        return claim

    @staticmethod
    async def _balance(store: TaskStore) -> tuple[int, int, int, int]:
        counts = await store.counts()
        return counts.received, counts.delivered, counts.dead, counts.waiting

    async def test_an_end_stores_its_deliveries(self, store: TaskStore) -> None:
        callback = Callback(url="http://127.0.0.1/x", params={"k": 1})
        planned = evolve(delivery(), callback=callback)
        task = await self._finished_with(store, planned)
        claim = await store.claim_delivery("callback", lease=30, wait=0)
        assert claim is not None
        assert claim.delivery.id == planned.id
        assert claim.delivery.callback == callback
        assert claim.delivery.document == await store.read_result(task.task_id)
        assert claim.delivery.attempt == 1

    async def test_every_reporter_has_its_own_delivery(self, store: TaskStore) -> None:
        await self._finished_with(store, delivery("one"), delivery("two"))
        first = await store.claim_delivery("one", lease=30, wait=0)
        second = await store.claim_delivery("two", lease=30, wait=0)
        assert first is not None
        assert second is not None
        assert first.delivery.id != second.delivery.id
        assert await store.claim_delivery("three", lease=30, wait=0) is None

    async def test_a_delivery_that_has_arrived_is_not_claimed_again(self, opened: OpenedStore) -> None:
        await self._finished_with(opened.store, delivery())
        claim = await opened.store.claim_delivery("callback", lease=30, wait=0)
        assert claim is not None
        await opened.store.ack(claim.lease)
        await opened.advance(100)
        assert await opened.store.claim_delivery("callback", lease=30, wait=0) is None
        assert await self._balance(opened.store) == (1, 1, 0, 0)

    async def test_a_retry_is_claimed_when_due_and_counts_its_attempts(self, opened: OpenedStore) -> None:
        store = opened.store
        await self._finished_with(store, delivery())
        claim = await store.claim_delivery("callback", lease=30, wait=0)
        assert claim is not None
        await store.retry(claim.lease, 60, "500")
        await opened.advance(59)
        assert await store.claim_delivery("callback", lease=30, wait=0) is None
        await opened.advance(2)
        again = await store.claim_delivery("callback", lease=30, wait=0)
        assert again is not None
        assert (again.delivery.id, again.delivery.attempt) == (claim.delivery.id, 2)
        assert again.age == pytest.approx(61, abs=1)
        assert await self._balance(store) == (1, 0, 0, 1)

    async def test_a_delivery_with_an_expired_lease_is_claimed_again(self, opened: OpenedStore) -> None:
        store = opened.store
        await self._finished_with(store, delivery())
        lost = await store.claim_delivery("callback", lease=10, wait=0)
        assert lost is not None
        await opened.advance(11)
        again = await store.claim_delivery("callback", lease=10, wait=0)
        assert again is not None
        await store.ack(lost.lease)
        assert await self._balance(store) == (1, 0, 0, 1), "an expired lease changes nothing"

    async def test_a_dead_letter_is_listed_and_requeued_with_a_new_age(self, opened: OpenedStore) -> None:
        store = opened.store
        task = await self._finished_with(store, delivery())
        await opened.advance(50)
        claim = await store.claim_delivery("callback", lease=30, wait=0)
        assert claim is not None
        await store.dead_letter(claim.lease, "404")
        assert await self._balance(store) == (1, 0, 1, 0)
        page = await store.dead_letters(limit=10, cursor=None)
        assert [(letter.id, letter.task_id, letter.reason) for letter in page.deadletters] == [
            (claim.delivery.id, task.task_id, "404")
        ]
        await store.requeue(claim.delivery.id)
        assert await self._balance(store) == (1, 0, 0, 1)
        again = await store.claim_delivery("callback", lease=30, wait=0)
        assert again is not None
        assert again.age < 1
        assert again.delivery.attempt == 1
        assert again.delivery.id == claim.delivery.id, "the idempotency key is the same for every attempt"

    async def test_dead_letters_are_listed_in_pages_newest_first(self, store: TaskStore) -> None:
        ids = []
        for _ in range(3):
            await self._finished_with(store, delivery())
            claim = await store.claim_delivery("callback", lease=30, wait=0)
            assert claim is not None
            await store.dead_letter(claim.lease, "404")
            ids.append(claim.delivery.id)
        first = await store.dead_letters(limit=2, cursor=None)
        second = await store.dead_letters(limit=2, cursor=first.next_cursor)
        assert [letter.id for letter in first.deadletters + second.deadletters] == ids[::-1]
        assert second.next_cursor is None
        with pytest.raises(NotFound):
            await store.requeue("unknown")

    async def test_dead_letters_are_sorted_by_the_time_they_were_given_up(self, store: TaskStore) -> None:
        for _ in range(2):
            await self._finished_with(store, delivery())
        first, second = await self._claimed(store), await self._claimed(store)
        await store.dead_letter(second.lease, "404")
        await store.dead_letter(first.lease, "404")
        newest = await store.dead_letters(limit=1, cursor=None)
        oldest = await store.dead_letters(limit=1, cursor=newest.next_cursor)
        listed = [letter.id for letter in newest.deadletters + oldest.deadletters]
        assert listed == [first.delivery.id, second.delivery.id]

    async def test_undelivered_results_that_fill_the_store_block_new_tasks(self, store: TaskStore) -> None:
        """Contract section 1: "503 … overloaded"."""
        await self._finished_with(store, delivery(), details="x" * self.limits.outbox_bytes)
        with pytest.raises(Overloaded) as caught:
            await store.submit(new_task())
        assert caught.value.retry_after > 0
        claim = await self._claimed(store)
        await store.dead_letter(claim.lease, "404")
        await self._finished_with(store)
        await store.requeue(claim.delivery.id)
        with pytest.raises(Overloaded):
            await store.submit(new_task())
        await store.ack((await self._claimed(store)).lease)
        await self._finished_with(store)

    async def test_a_requeue_removes_no_other_dead_letter(self, store: TaskStore) -> None:
        for _ in range(2):
            await self._finished_with(store, delivery(), details="x" * (self.limits.outbox_bytes // 3))
            await store.dead_letter((await self._claimed(store)).lease, "404")
        for _ in range(3):
            await store.requeue((await store.dead_letters(limit=1, cursor=None)).deadletters[0].id)
            await store.dead_letter((await self._claimed(store)).lease, "404")
        assert len((await store.dead_letters(limit=10, cursor=None)).deadletters) == 2

    async def test_a_waiting_claim_returns_with_a_new_delivery(self, store: TaskStore) -> None:
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(store.claim_delivery("callback", lease=30, wait=30))
            await asyncio.sleep(0)
            await self._finished_with(store, delivery())
        assert waiter.result() is not None

    async def test_a_delivery_outlives_its_task(self, opened: OpenedStore) -> None:
        await self._finished_with(opened.store, delivery(max_age=1e6))
        await opened.advance(24 * 3600)
        claim = await opened.store.claim_delivery("callback", lease=30, wait=0)
        assert claim is not None
        assert json.loads(claim.delivery.document)["status"] == "completed"
