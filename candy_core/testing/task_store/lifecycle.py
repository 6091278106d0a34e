"""Progress, endings, cancels, lists, retention and logs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from attrs import evolve

from candy_core.errors import Invalid, NotFound, TaskEnded
from candy_core.model.task import (
    ItemStatus,
    LogEntry,
    Outcome,
    TaskStatus,
)
from candy_core.ports.task_store import (
    TaskStore,
    Until,
)
from candy_core.testing.task_store.base import OpenedStore, StoreSuite, delivery, ending, new_task, result_of


class LifecycleSuite(StoreSuite):
    """Tasks run, end, and are removed."""

    async def test_progress_counts_results_and_running_items(self, store: TaskStore) -> None:
        task = new_task(items=4)
        await store.submit(task)
        claim = await self.claimed(store)
        results = [
            result_of(claim.items[0], ItemStatus.NORMAL),
            result_of(claim.items[1], ItemStatus.CRITICAL),
        ]
        assert await store.record(claim.lease, results, running=2) == 2
        state = await store.read(task.task_id)
        assert state is not None
        assert state.status is TaskStatus.RUNNING
        progress = state.progress
        assert (progress.total, progress.done, progress.running) == (4, 2, 2)
        assert (progress.normal, progress.warning, progress.critical, progress.failed) == (1, 0, 1, 0)

    async def test_results_so_far_are_in_the_order_of_the_request(self, store: TaskStore) -> None:
        task = new_task(items=3)
        await store.submit(task)
        claim = await self.claimed(store)
        for index in (2, 0):
            await store.record(claim.lease, [result_of(claim.items[index])], running=0)
        document = await self.document(store, task)
        assert document["status"] == "running"
        assert [result["item_id"] for result in document["results"]] == [0, 2]  # type: ignore[index,call-overload,union-attr]  # JSON
        assert document["end_time"] is None

    async def test_an_end_gives_every_item_exactly_one_result(self, store: TaskStore) -> None:
        """Contract section 2: "Every item of the request has exactly one result once the task has ended"."""
        task = new_task(items=3)
        await store.submit(task)
        claim = await self.claimed(store)
        await store.record(claim.lease, [result_of(claim.items[1])], running=0)
        await store.release(claim.lease)
        assert await store.finish(task.task_id, ending(status=TaskStatus.FAILED))
        document = await self.document(store, task)
        reasons = [(result["item_id"], result["reason"]) for result in document["results"]]  # type: ignore[index,call-overload,union-attr]  # JSON
        assert reasons == [(0, "timeout"), (1, "ok"), (2, "timeout")]

    async def test_a_rejected_item_keeps_its_verdict_when_the_task_is_cut_off(self, store: TaskStore) -> None:
        verdict = Outcome(status=ItemStatus.FAILED, reason="unknown_type", message="unknown")
        task = new_task(items=1)
        task = evolve(task, items=(evolve(task.items[0], verdict=verdict),))
        await store.submit(task)
        await store.cancel(task.task_id, "stop")
        await store.finish(task.task_id, ending(status=TaskStatus.CANCELED))
        document = await self.document(store, task)
        assert document["results"][0]["reason"] == "unknown_type"  # type: ignore[index,call-overload]  # JSON

    async def test_only_the_first_end_counts(self, store: TaskStore) -> None:
        task = new_task()
        await store.submit(task)
        await self.finished(store, task, ending(delivery()))
        assert not await store.finish(task.task_id, ending(delivery(), status=TaskStatus.FAILED))
        state = await store.read(task.task_id)
        assert state is not None
        assert state.status is TaskStatus.COMPLETED
        assert (await store.counts()).received == 1

    async def test_a_late_result_does_not_change_an_ended_task(self, store: TaskStore) -> None:
        task = new_task(items=1)
        await store.submit(task)
        claim = await self.claimed(store)
        await store.finish(task.task_id, ending(status=TaskStatus.FAILED))
        before = await store.read_result(task.task_id)
        await store.record(claim.lease, [result_of(claim.items[0])], running=0)
        await store.release(claim.lease)
        assert await store.read_result(task.task_id) == before

    async def test_a_task_with_all_results_only_needs_to_be_finished(self, store: TaskStore) -> None:
        task = new_task(items=1)
        await store.submit(task)
        claim = await self.claimed(store)
        await store.record(claim.lease, [result_of(claim.items[0])], running=0)
        assert await store.claim_ending("worker", lease=30, wait=0) is None, "there is still a lease on items"
        await store.release(claim.lease)
        only_to_end = await store.claim_ending("worker", lease=30, wait=0)
        assert only_to_end is not None
        assert (only_to_end.task_id, only_to_end.items) == (task.task_id, ())
        assert await store.claim_ending("worker", lease=30, wait=0) is None, "its ending is leased already"

    async def test_an_ending_with_an_expired_lease_is_claimed_again(self, opened: OpenedStore) -> None:
        task = new_task(items=1)
        await opened.store.submit(task)
        await opened.store.cancel(task.task_id, "stop")
        assert await opened.store.claim_ending("worker", lease=10, wait=0) is not None
        await opened.advance(11)
        assert await opened.store.claim_ending("worker", lease=10, wait=0) is not None

    async def test_an_overdue_task_only_needs_to_be_finished(self, opened: OpenedStore) -> None:
        await opened.store.submit(new_task(items=2, timeout=20.0))
        claim = await self.claimed(opened.store)
        await opened.advance(21)
        await opened.store.release(claim.lease)
        only_to_end = await opened.store.claim_ending("worker", lease=30, wait=0)
        assert only_to_end is not None
        assert only_to_end.remaining <= 0

    async def test_a_task_whose_agent_died_is_finished_after_its_timeout(self, opened: OpenedStore) -> None:
        await opened.store.submit(new_task(items=2, timeout=20.0))
        await self.claimed(opened.store, lease=10)
        await opened.advance(60)
        assert await opened.store.claim_ending("another", lease=30, wait=0) is not None

    async def test_a_canceled_task_that_waits_cannot_be_claimed(self, store: TaskStore) -> None:
        task = new_task()
        await store.submit(task)
        await store.cancel(task.task_id, "stop")
        assert await store.claim("worker", limit=10, lease=30, wait=0) is None
        only_to_end = await store.claim_ending("worker", lease=30, wait=0)
        assert only_to_end is not None
        assert only_to_end.canceled == "stop"

    async def test_a_renewal_reports_a_cancel(self, store: TaskStore) -> None:
        task = new_task()
        await store.submit(task)
        claim = await self.claimed(store)
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(store.wait(task.task_id, Until.CANCELED, 30))
            await asyncio.sleep(0)
            await store.cancel(task.task_id, "stop")
        assert waiter.result() is not None
        assert (await store.renew(claim.lease, 30)).canceled == "stop"
        assert await store.claim_ending("worker", lease=30, wait=0) is None, "it has not stopped yet"
        await store.release(claim.lease)
        assert await store.claim_ending("worker", lease=30, wait=0) is not None

    async def test_canceling_an_ended_or_unknown_task_is_an_error(self, store: TaskStore) -> None:
        """Contract section 2: "Cancel of an ended task: 409 ended"."""
        task = new_task()
        await store.submit(task)
        await self.finished(store, task, ending())
        with pytest.raises(TaskEnded):
            await store.cancel(task.task_id, "stop")
        with pytest.raises(NotFound):
            await store.cancel("unknown", "stop")

    async def test_waiting_for_the_end_returns_at_the_end(self, store: TaskStore) -> None:
        task = new_task()
        await store.submit(task)
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(store.wait(task.task_id, Until.ENDED, 30))
            await asyncio.sleep(0)
            await self.finished(store, task, ending())
        state = waiter.result()
        assert state is not None
        assert state.status is TaskStatus.COMPLETED

    async def test_waiting_returns_the_state_after_its_timeout(self, store: TaskStore) -> None:
        task = new_task()
        await store.submit(task)
        state = await store.wait(task.task_id, Until.ENDED, 0.01)
        assert state is not None
        assert state.status is TaskStatus.PENDING
        assert await store.wait("unknown", Until.ENDED, 0.01) is None

    async def test_a_waiting_claim_returns_with_a_new_task(self, store: TaskStore) -> None:
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(store.claim("worker", limit=10, lease=30, wait=30))
            await asyncio.sleep(0)
            await store.submit(new_task())
        assert waiter.result() is not None

    async def test_listing_is_newest_first_in_pages_and_by_status(self, store: TaskStore) -> None:
        tasks = [new_task() for _ in range(3)]
        for task in tasks:
            await store.submit(task)
        await self.claimed(store)
        first = await store.list(status=None, limit=2, cursor=None)
        assert [state.task_id for state in first.tasks] == [tasks[2].task_id, tasks[1].task_id]
        second = await store.list(status=None, limit=2, cursor=first.next_cursor)
        assert [state.task_id for state in second.tasks] == [tasks[0].task_id]
        assert second.next_cursor is None
        running = await store.list(status=TaskStatus.RUNNING, limit=50, cursor=None)
        assert [state.task_id for state in running.tasks] == [tasks[0].task_id]

    async def test_a_full_last_page_has_no_cursor(self, store: TaskStore) -> None:
        for _ in range(2):
            await store.submit(new_task())
        assert (await store.list(status=None, limit=2, cursor=None)).next_cursor is None

    @pytest.mark.parametrize("cursor", ["", "nonsense", "é", "AAAA", "-1"])
    async def test_an_invalid_cursor_is_rejected(self, store: TaskStore, cursor: str) -> None:
        with pytest.raises(Invalid):
            await store.list(status=None, limit=2, cursor=cursor)

    async def test_ended_tasks_are_removed_after_their_time(self, opened: OpenedStore) -> None:
        """Contract section 2: "Ended tasks are kept for 24 h …; after that they are 404"."""
        task = new_task()
        await opened.store.submit(task)
        await self.finished(opened.store, task, ending())
        await opened.advance(self.limits.keep_seconds - 1)
        assert await opened.store.read(task.task_id) is not None
        await opened.advance(2)
        assert await opened.store.read(task.task_id) is None
        assert await opened.store.read_result(task.task_id) is None
        assert await opened.store.read_log(task.task_id) is None
        assert (await opened.store.list(status=None, limit=10, cursor=None)).tasks == ()

    async def test_ended_tasks_are_removed_by_size_the_oldest_first(self, store: TaskStore) -> None:
        """Contract section 2: "within a byte limit, oldest out first"."""
        tasks = [new_task(items=1) for _ in range(4)]
        for task in tasks:
            await store.submit(task)
            claim = await self.claimed(store)
            large = result_of(claim.items[0], details="x" * (self.limits.keep_bytes // 3))
            await store.record(claim.lease, [large], running=0)
            await store.release(claim.lease)
            await store.finish(task.task_id, ending())
        kept = [await store.read(task.task_id) is not None for task in tasks]
        assert kept == [False, False, True, True]

    async def test_the_task_that_ended_last_is_kept_at_any_size(self, store: TaskStore) -> None:
        for _ in range(2):
            task = new_task(items=1)
            await store.submit(task)
            await self.finished(store, task, ending(), details="x" * self.limits.keep_bytes)
            assert await store.read_result(task.task_id) is not None

    async def test_a_reused_id_has_its_new_priority(self, opened: OpenedStore) -> None:
        once = new_task(priority=9)
        await opened.store.submit(once)
        await opened.store.cancel(once.task_id, "stop")
        await opened.store.finish(once.task_id, ending(status=TaskStatus.CANCELED))
        await opened.advance(self.limits.keep_seconds + 1)
        another = new_task()
        await opened.store.submit(another)
        await opened.store.submit(evolve(once, priority=0))
        assert (await self.claimed(opened.store)).task_id == another.task_id

    async def test_the_id_of_a_removed_task_may_be_reused(self, opened: OpenedStore) -> None:
        task = new_task()
        await opened.store.submit(task)
        await self.finished(opened.store, task, ending())
        await opened.advance(self.limits.keep_seconds + 1)
        assert (await opened.store.submit(evolve(task, digest=b"another"))).created

    async def test_the_log_keeps_its_order_and_goes_on_after_the_end(self, store: TaskStore) -> None:
        task = new_task()
        await store.submit(task)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        await store.append_log(task.task_id, [LogEntry(time=moment, level="info", event="one", item_id=1)])
        await self.finished(store, task, ending())
        await store.append_log(task.task_id, [LogEntry(time=moment, level="info", event="two")])
        await store.append_log("unknown", [LogEntry(time=moment, level="info", event="lost")])
        log = await store.read_log(task.task_id)
        assert log is not None
        assert [entry.event for entry in log.entries] == ["one", "two"]
        assert log.dropped == 0
        assert await store.read_log("unknown") is None

    async def test_the_log_has_the_entries_of_the_results(self, opened: OpenedStore) -> None:
        """Contract section 2: "intake, start, end and retry of the task and of each item"."""
        store = opened.store
        task = new_task(items=1)
        await store.submit(task)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        claim = await self.claimed(store, lease=10)

        def entries(event: str) -> list[LogEntry]:
            return [LogEntry(time=moment, level="info", event=event, item_id=0, detail="d")]

        await store.record(claim.lease, [], running=1, log=entries("started"))
        await store.append_log(task.task_id, entries("between"))
        await store.record(claim.lease, [result_of(claim.items[0])], running=0, log=entries("ended"))
        await opened.advance(11)
        assert await store.claim("other", limit=1, lease=10, wait=0) is None
        await store.record(claim.lease, [], running=1, log=entries("lost"))
        log = await store.read_log(task.task_id)
        assert log is not None
        assert list(log.entries) == [*entries("started"), *entries("between"), *entries("ended")]
