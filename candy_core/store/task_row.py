"""One task in the memory store: its results, its leases, its log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime

from attrs import define, evolve, field

from candy_core.clock import Clock
from candy_core.codec import dumps, rfc3339
from candy_core.model.task import ItemStatus, LogEntry, Outcome, Progress, TaskLog, TaskState, TaskStatus
from candy_core.ports.planned_item import ItemRecord
from candy_core.ports.task_store import Claim, NewTask
from candy_core.store.result_text import result_text
from candy_core.store.wakeup import Latch

LOG_LIMIT = 25_000
"""Entries that one task's log holds: start and end of 10 000 items, and room for retries and callbacks."""


_NONE = dict.fromkeys(ItemStatus, 0)


@define
class Lease:
    """Which items of a task are leased, and until when on the monotonic clock. ``running``: how many run now."""

    indices: tuple[int, ...]
    expires: float
    running: int = 0


@define(eq=False)
class TaskRow:
    """All that the store knows about a task; only the store changes it."""

    new: NewTask
    sequence: int
    status: TaskStatus = TaskStatus.PENDING
    message: str = ""
    start: datetime | None = None
    end: datetime | None = None
    deadline: float | None = None
    """On the monotonic clock."""
    canceled: str | None = None
    total: int = 0
    results: list[bytes | None] = field(init=False)
    """Each item's result as JSON; empty once the document is made."""
    left: int = 0
    unclaimed: deque[int] = field(init=False)
    leases: dict[str, Lease] = field(factory=dict)
    counts: dict[ItemStatus, int] = field(factory=_NONE.copy)
    log: deque[LogEntry] = field(factory=lambda: deque(maxlen=LOG_LIMIT))
    log_bytes: int = 0
    dropped: int = 0
    document: bytes | None = None
    asked: Latch = field(factory=Latch)
    """Set once a cancel was asked for, or the task has ended."""
    finished: Latch = field(factory=Latch)

    def __attrs_post_init__(self) -> None:
        self.total = self.left = len(self.new.items)
        self.results = [None] * self.total
        self.unclaimed = deque(range(self.total))

    @property
    def state(self) -> TaskState:
        """The status object."""
        done = sum(self.counts.values())
        return TaskState(
            task_id=self.new.task_id,
            status=self.status,
            message=self.message,
            start_time=self.start,
            end_time=self.end,
            priority=self.new.priority,
            progress=Progress(
                total=self.total,
                done=done,
                running=sum(lease.running for lease in self.leases.values()),
                normal=self.counts[ItemStatus.NORMAL],
                warning=self.counts[ItemStatus.WARNING],
                critical=self.counts[ItemStatus.CRITICAL],
                failed=self.counts[ItemStatus.FAILED],
            ),
        )

    @property
    def weight(self) -> int:
        """Approximate size of an ended task in bytes."""
        return 2048 + len(self.document or b"") + self.log_bytes

    def put(self, result: ItemRecord) -> None:
        """Keep a result unless the item already has one."""
        if self.results[result.index] is None:
            self.results[result.index] = result.text
            self.counts[result.status] += 1
            self.left -= 1

    def fill(self, outcome: Outcome) -> None:
        """Give every item that has no result this one."""
        for index, item in enumerate(self.new.items):
            if self.results[index] is None:
                result = item.verdict or outcome
                self.put(ItemRecord(index, result.status, result_text(item, result)))

    def render(self, status: TaskStatus, message: str, end: datetime | None) -> bytes:
        """The result object as JSON, with the results so far in the order of the request."""
        head = dumps({"task_id": self.new.task_id, "status": status.value})
        tail = dumps(
            {
                "start_time": rfc3339(self.start) if self.start else None,
                "end_time": rfc3339(end) if end else None,
                "message": message,
            }
        )
        results = b",".join(result for result in self.results if result is not None)
        return b'%b,"results":[%b],%b' % (head[:-1], results, tail[1:])

    def close(self, status: TaskStatus, message: str, now: datetime, document: bytes) -> None:
        """End the task, and drop what only a running task needs. ``document`` is its result object."""
        self.status, self.message, self.end = status, message, now
        self.document = document
        self.results = []
        self.leases = {}
        self.unclaimed = deque()
        self.new = evolve(self.new, items=())  # nothing reads the params any more, and they may be large
        self.asked.set()
        self.finished.set()

    def claim(self, lease: str, indices: Sequence[int], clock: Clock, *, started: bool) -> Claim:
        """The claim of a lease on a slice of the task, or on the whole of it."""
        return Claim(
            lease=lease,
            task_id=self.new.task_id,
            evaluation_time=(self.start or clock.now()).timestamp(),
            remaining=self.new.timeout if self.deadline is None else self.deadline - clock.monotonic(),
            timeout=self.new.timeout,
            locale=self.new.locale,
            callback=self.new.callback,
            items=tuple((index, self.new.items[index]) for index in indices),
            canceled=self.canceled,
            started=started,
        )

    def append_log(self, entries: Sequence[LogEntry]) -> None:
        """Add to the log; beyond its limit the oldest entries are dropped."""
        self.dropped += max(0, len(self.log) + len(entries) - LOG_LIMIT)
        self.log.extend(entries)
        self.log_bytes += sum(200 + len(entry.detail) for entry in entries)

    def read_log(self) -> TaskLog:
        """The log, oldest first."""
        return TaskLog(task_id=self.new.task_id, entries=tuple(self.log), dropped=self.dropped)

    def expired(self, monotonic: float) -> Iterator[str]:
        """The leases that have expired."""
        return (key for key, lease in tuple(self.leases.items()) if lease.expires <= monotonic)

    def release(self, key: str) -> bool:
        """End a lease; its items without a result are free again. False where there was no such lease."""
        lease = self.leases.pop(key, None)
        if lease is None:
            return False
        self.unclaimed.extendleft(reversed([index for index in lease.indices if self.results[index] is None]))
        return True
