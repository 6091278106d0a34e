"""The memory store: everything in the memory of one process.

Nothing here awaits between reading and writing its tables, except where the spool is written first; so every step is
atomic for the others on the same event loop.
"""

from __future__ import annotations

import asyncio
import heapq
import uuid
from collections import Counter
from collections.abc import Sequence

from candy_core.clock import Clock, SystemClock
from candy_core.errors import Conflict, NotFound, Overloaded, QueueFull, TaskEnded
from candy_core.model.task import LogEntry, TaskLog, TaskState, TaskStatus
from candy_core.ports.planned_item import ItemRecord
from candy_core.ports.task_store import (
    Claim,
    Ending,
    NewTask,
    Renewal,
    StoreCounts,
    StoreLimits,
    Submitted,
    TaskPage,
    Until,
)
from candy_core.store.cursor import from_cursor, to_cursor
from candy_core.store.delivery_queue import DeliveryQueue
from candy_core.store.retention import Retention
from candy_core.store.spool import Spool
from candy_core.store.task_row import Lease, TaskRow
from candy_core.store.wakeup import Signal


class MemoryStore(DeliveryQueue):
    """A :class:`~candy_core.ports.task_store.TaskStore` for one agent; gone with the process, but for the spool."""

    def __init__(self, limits: StoreLimits, *, clock: Clock | None = None, spool: Spool | None = None) -> None:
        super().__init__(limits.outbox_bytes, clock or SystemClock(), spool)
        self._limits = limits
        self._rows: dict[str, TaskRow] = {}
        self._ready: list[tuple[int, int, str]] = []
        self._leases: dict[str, TaskRow] = {}
        self._endings: dict[str, float] = {}
        """Tasks that only have to be ended, and until when each is leased for that."""
        self._retention = Retention(limits)
        self._queue_bytes = 0
        self._sequence = 0
        self._tally: Counter[TaskStatus] = Counter()
        self._ended: Counter[TaskStatus] = Counter()
        self._work = Signal()
        self._ending = Signal()

    async def submit(self, task: NewTask) -> Submitted:
        """See the port."""
        self._evict()
        row = self._rows.get(task.task_id)
        if row is not None:
            if row.new.digest != task.digest:
                raise Conflict(f"the task {task.task_id} already exists, with another body")
            return Submitted(state=row.state, created=False)
        if self._tally[TaskStatus.PENDING] >= self._limits.max_pending:
            raise QueueFull(f"{self._limits.max_pending} tasks are waiting already", retry_after=5)
        if self._queue_bytes and self._queue_bytes + task.size > self._limits.queue_bytes:
            raise QueueFull("waiting tasks fill the memory set aside for them", retry_after=5)
        if self._full:
            raise Overloaded("undelivered results fill the memory set aside for them", retry_after=30)
        self._sequence += 1
        row = TaskRow(task, self._sequence)
        self._rows[task.task_id] = row
        self._tally[TaskStatus.PENDING] += 1
        self._queue_bytes += task.size
        self._make_ready(row)
        return Submitted(state=row.state, created=True)

    async def claim(self, worker: str, *, limit: int, lease: float, wait: float) -> Claim | None:
        """See the port."""
        until = self._clock.monotonic() + wait
        while True:
            now = self._clock.monotonic()
            self._expire_leases(now)
            claim = self._claim_first(limit, lease, now)
            if claim is not None or now >= until:
                return claim
            await self._work.wait(until - now)

    async def claim_ending(self, worker: str, *, lease: float, wait: float) -> Claim | None:
        """See the port."""
        until = self._clock.monotonic() + wait
        while True:
            now = self._clock.monotonic()
            self._expire_leases(now)
            for task_id, busy_until in self._endings.items():
                row = self._rows[task_id]
                if busy_until <= now and not row.leases:
                    self._endings[task_id] = now + lease
                    return row.claim("", (), self._clock, started=False)
            if now >= until:
                return None
            await self._ending.wait(until - now)

    async def renew(self, lease: str, seconds: float) -> Renewal:
        """See the port."""
        row = self._leases.get(lease)
        if row is None:
            return Renewal(held=False)
        row.leases[lease].expires = self._clock.monotonic() + seconds
        return Renewal(held=True, canceled=row.canceled)

    async def record(
        self, lease: str, results: Sequence[ItemRecord], *, running: int, log: Sequence[LogEntry] = ()
    ) -> int:
        """See the port."""
        row = self._leases.get(lease)
        if row is None:
            return 0
        for result in results:
            row.put(result)
        row.leases[lease].running = running
        row.append_log(log)
        return row.left

    async def release(self, lease: str) -> None:
        """See the port."""
        row = self._leases.pop(lease, None)
        if row is not None and row.release(lease):
            self._after_release(row)

    async def finish(self, task_id: str, ending: Ending) -> bool:
        """See the port."""
        row = self._rows.get(task_id)
        if row is None or row.status.ended:
            return False
        now = self._clock.now()
        row.fill(ending.fill)
        document = row.render(ending.status, ending.message, now)
        deliveries = self._deliveries_of(task_id, ending.deliveries, document, now)
        await self._spool_all(deliveries)  # on the disk before anybody can read that the task has ended
        if row.status.ended:  # another call was faster while the disk was written to
            await self._unspool(*(queued.delivery.id for queued in deliveries))
            return False
        self._tally[row.status] -= 1
        self._queue_bytes -= row.new.size
        self._ended[ending.status] += 1
        for key in row.leases:
            self._leases.pop(key, None)
        row.close(ending.status, ending.message, now, document)
        self._enqueue(deliveries)
        self._endings.pop(task_id, None)
        self._retention.keep(task_id, self._clock.monotonic(), row.weight)
        self._evict()
        return True

    async def cancel(self, task_id: str, why: str) -> TaskState:
        """See the port."""
        row = self._rows.get(task_id)
        if row is None:
            raise NotFound(f"no task has the id {task_id[:128]!r}")
        if row.status.ended:
            raise TaskEnded(f"the task {task_id} has ended: {row.status}")
        if row.canceled is None:
            row.canceled = why
            row.asked.set()
            self._mark_for_ending(row)
        return row.state

    async def wait(self, task_id: str, until: Until, timeout: float) -> TaskState | None:
        """See the port."""
        row = self._rows.get(task_id)
        if row is None:
            return None
        event = row.asked if until is Until.CANCELED else row.finished
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
        except TimeoutError:
            pass  # the state says how far it came
        return row.state

    async def read(self, task_id: str) -> TaskState | None:
        """See the port."""
        self._evict()
        row = self._rows.get(task_id)
        return row.state if row else None

    async def read_result(self, task_id: str) -> bytes | None:
        """See the port."""
        self._evict()
        row = self._rows.get(task_id)
        if row is None:
            return None
        return row.document or row.render(row.status, row.message, None)

    async def list(self, *, status: TaskStatus | None, limit: int, cursor: str | None) -> TaskPage:
        """See the port."""
        self._evict()
        before = from_cursor(cursor)
        page: list[TaskRow] = []
        for row in reversed(self._rows.values()):
            if (before is None or row.sequence < before) and (status is None or row.status is status):
                if len(page) == limit:
                    return TaskPage(tasks=tuple(row.state for row in page), next_cursor=to_cursor(page[-1].sequence))
                page.append(row)
        return TaskPage(tasks=tuple(row.state for row in page), next_cursor=None)

    async def append_log(self, task_id: str, entries: Sequence[LogEntry]) -> None:
        """See the port."""
        row = self._rows.get(task_id)
        if row is None:
            return
        row.append_log(entries)
        self._retention.reweigh(task_id, row.weight)

    async def read_log(self, task_id: str) -> TaskLog | None:
        """See the port."""
        self._evict()
        row = self._rows.get(task_id)
        return row.read_log() if row else None

    async def counts(self) -> StoreCounts:
        """See the port."""
        return StoreCounts(
            pending=self._tally[TaskStatus.PENDING],
            running=self._tally[TaskStatus.RUNNING],
            capacity=self._limits.max_pending,
            received=self._received,
            delivered=self._delivered,
            dead=self._dead_lettered,
            waiting=len(self._waiting),
            ended=dict(self._ended),
        )

    def _make_ready(self, row: TaskRow) -> None:
        heapq.heappush(self._ready, (-row.new.priority, row.sequence, row.new.task_id))
        self._work.notify()

    def _claim_first(self, limit: int, seconds: float, now: float) -> Claim | None:
        while self._ready:
            row = self._rows.get(self._ready[0][2])
            if row is None or row.sequence != self._ready[0][1] or not row.unclaimed or row.canceled is not None:
                heapq.heappop(self._ready)
                continue
            indices = tuple(row.unclaimed.popleft() for _ in range(min(limit, len(row.unclaimed))))
            if not row.unclaimed:
                heapq.heappop(self._ready)
            started = row.status is TaskStatus.PENDING
            if started:
                row.status, row.start, row.deadline = TaskStatus.RUNNING, self._clock.now(), now + row.new.timeout
                self._tally[TaskStatus.PENDING] -= 1
                self._tally[TaskStatus.RUNNING] += 1
            key = uuid.uuid4().hex
            row.leases[key] = Lease(indices, now + seconds)
            self._leases[key] = row
            return row.claim(key, indices, self._clock, started=started)
        return None

    def _after_release(self, row: TaskRow) -> None:
        if row.status.ended:
            return
        overdue = row.deadline is not None and row.deadline <= self._clock.monotonic()
        if row.left == 0 or overdue or row.canceled is not None:
            self._mark_for_ending(row)
        elif row.unclaimed:
            self._make_ready(row)

    def _mark_for_ending(self, row: TaskRow) -> None:
        """Have it ended as soon as no lease on it is left."""
        self._endings.setdefault(row.new.task_id, 0.0)
        self._ending.notify()

    def _expire_leases(self, now: float) -> None:
        for key, row in tuple(self._leases.items()):
            if row.status.ended:
                del self._leases[key]
            elif row.leases[key].expires <= now:
                del self._leases[key]
                row.release(key)
                self._after_release(row)

    def _evict(self) -> None:
        for task_id in self._retention.expired(self._clock.monotonic()):
            del self._rows[task_id]
