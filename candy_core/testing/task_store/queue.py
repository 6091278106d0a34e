"""Submissions, claims, leases and results."""

from __future__ import annotations

import pytest
from attrs import evolve

from candy_core.errors import Conflict, QueueFull
from candy_core.model.task import (
    TaskStatus,
)
from candy_core.ports.task_store import (
    TaskStore,
)
from candy_core.testing.task_store.base import OpenedStore, StoreSuite, ending, new_task, result_of


class QueueSuite(StoreSuite):
    """Tasks are submitted and claimed."""

    async def test_a_submitted_task_waits(self, store: TaskStore) -> None:
        submitted = await store.submit(new_task(items=2))
        assert submitted.created
        assert submitted.state.status is TaskStatus.PENDING
        assert submitted.state.progress.total == 2
        assert submitted.state.start_time is None

    async def test_the_same_task_is_stored_once(self, store: TaskStore) -> None:
        """Contract section 2: "The same task_id with a body that is equal as a JSON value: … run once"."""
        task = new_task()
        await store.submit(task)
        assert not (await store.submit(task)).created
        assert (await store.counts()).pending == 1

    async def test_another_task_with_the_same_id_is_a_conflict(self, store: TaskStore) -> None:
        """Contract section 2: "With another body: 409 conflict"."""
        task = new_task()
        await store.submit(task)
        with pytest.raises(Conflict):
            await store.submit(evolve(task, digest=b"another"))

    async def test_the_queue_has_a_limit_that_ignores_running_tasks(self, store: TaskStore) -> None:
        for _ in range(self.limits.max_pending):
            await store.submit(new_task())
        with pytest.raises(QueueFull) as caught:
            await store.submit(new_task())
        assert caught.value.retry_after > 0
        await self.claimed(store)
        await store.submit(new_task())

    async def test_tasks_that_have_not_ended_have_a_limit_in_bytes(self, store: TaskStore) -> None:
        large, small = self.limits.queue_bytes + 1, self.limits.queue_bytes // 3
        alone = new_task(size=large)
        await store.submit(alone)
        with pytest.raises(QueueFull):
            await store.submit(new_task(size=small))
        await self.finished(store, alone, ending())
        tasks = [new_task(size=small) for _ in range(3)]
        for task in tasks[:2]:
            await store.submit(task)
        await self.claimed(store)
        await store.submit(tasks[2])
        with pytest.raises(QueueFull):
            await store.submit(new_task(size=small))

    async def test_an_ended_task_counts_as_neither_pending_nor_running(self, store: TaskStore) -> None:
        for canceled in (False, True):
            task = new_task()
            await store.submit(task)
            if canceled:
                await store.cancel(task.task_id, "stop")
                await store.finish(task.task_id, ending(status=TaskStatus.CANCELED))
            else:
                await self.finished(store, task, ending())
            counts = await store.counts()
            assert (counts.pending, counts.running) == (0, 0)
        assert counts.ended == {TaskStatus.COMPLETED: 1, TaskStatus.CANCELED: 1}

    async def test_an_existing_task_is_accepted_even_if_the_queue_is_full(self, store: TaskStore) -> None:
        tasks = [new_task() for _ in range(self.limits.max_pending)]
        for task in tasks:
            await store.submit(task)
        assert not (await store.submit(tasks[0])).created

    async def test_claims_are_in_the_order_of_priority_and_age(self, store: TaskStore) -> None:
        first, second, urgent = new_task(), new_task(), new_task(priority=9)
        for task in (first, second, urgent):
            await store.submit(task)
        order = [(await self.claimed(store)).task_id for _ in range(3)]
        assert order == [urgent.task_id, first.task_id, second.task_id]

    async def test_a_claim_may_be_a_slice_and_slices_do_not_overlap(self, store: TaskStore) -> None:
        task = new_task(items=5)
        await store.submit(task)
        slices = [[index for index, _ in (await self.claimed(store, limit=2)).items] for _ in range(3)]
        assert slices == [[0, 1], [2, 3], [4]]
        assert await store.claim("worker", limit=2, lease=30, wait=0) is None

    async def test_all_slices_have_one_evaluation_time_and_the_first_starts_the_task(self, opened: OpenedStore) -> None:
        """Contract section 2: "All metric queries of one task are evaluated at one instant"."""
        await opened.store.submit(new_task(items=2))
        first = await self.claimed(opened.store, limit=1)
        await opened.advance(5)
        second = await self.claimed(opened.store, limit=1)
        assert first.evaluation_time == second.evaluation_time
        assert (first.started, second.started) == (True, False)
        assert second.remaining == pytest.approx(first.remaining - 5, abs=1)

    async def test_the_timeout_counts_from_the_start(self, opened: OpenedStore) -> None:
        """Contract section 2: "from the start of the run, not from the queueing"."""
        await opened.store.submit(new_task(timeout=60.0))
        await opened.advance(50)
        claim = await self.claimed(opened.store)
        assert claim.remaining == pytest.approx(60, abs=1)

    async def test_items_without_a_result_are_claimed_again_after_an_expired_lease(self, opened: OpenedStore) -> None:
        store = opened.store
        await store.submit(new_task(items=3))
        lost = await self.claimed(store, lease=10)
        await store.record(lost.lease, [result_of(lost.items[1])], running=0)
        await opened.advance(11)
        taken_over = await self.claimed(store)
        assert [index for index, _ in taken_over.items] == [0, 2]
        assert taken_over.evaluation_time == lost.evaluation_time
        assert not (await store.renew(lost.lease, 10)).held

    async def test_a_renewed_lease_does_not_expire(self, opened: OpenedStore) -> None:
        store = opened.store
        await store.submit(new_task())
        claim = await self.claimed(store, lease=10)
        for _ in range(3):
            await opened.advance(8)
            assert (await store.renew(claim.lease, 10)).held
        assert await store.claim("other", limit=10, lease=10, wait=0) is None

    async def test_released_items_can_be_claimed_at_once(self, store: TaskStore) -> None:
        await store.submit(new_task(items=2))
        claim = await self.claimed(store)
        await store.record(claim.lease, [result_of(claim.items[0])], running=0)
        await store.release(claim.lease)
        assert [index for index, _ in (await self.claimed(store)).items] == [1]

    async def test_the_first_result_of_an_item_wins(self, store: TaskStore) -> None:
        task = new_task(items=1)
        await store.submit(task)
        claim = await self.claimed(store)
        item = claim.items[0]
        assert await store.record(claim.lease, [result_of(item, value="first")], running=0) == 0
        await store.record(claim.lease, [result_of(item, value="second")], running=0)
        document = await self.document(store, task)
        assert [result["value"] for result in document["results"]] == ["first"]  # type: ignore[index,call-overload,union-attr]  # JSON
