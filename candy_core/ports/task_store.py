"""Task stores keep tasks, their execution logs, and the queue of deliveries.

The built-in store is in the agent's memory. Agents that share a store share its work. All times are the store's: a
claim has the seconds that remain, which the agent then measures with its own monotonic clock. Every implementation must
pass the suite :class:`candy_core.testing.task_store.TaskStoreSuite`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from attrs import Factory, field, frozen

from candy_core.model.task import (
    Callback,
    DeadLetter,
    Locale,
    LogEntry,
    Outcome,
    TaskLog,
    TaskState,
    TaskStatus,
)
from candy_core.ports.context import Health, PluginContext
from candy_core.ports.planned_item import ItemRecord, PlannedItem
from candy_core.ports.reporter import Delivery

S = TypeVar("S")


@frozen(kw_only=True)
class NewTask:
    """A task to store.

    ``digest`` is equal for request bodies that are equal as JSON values. ``size`` is the approximate memory in bytes
    that the task needs while it waits.
    """

    task_id: str
    digest: bytes
    size: int = 0
    items: tuple[PlannedItem, ...]
    timeout: float = 300.0
    priority: int = 5
    locale: Locale = Locale.ZH_CN
    callback: Callback | None = None


@frozen(kw_only=True)
class Submitted:
    """The result of a submission. ``created`` is false if the same task exists already."""

    state: TaskState
    created: bool


@frozen(kw_only=True)
class Claim:
    """A lease on a slice of a task's items.

    ``evaluation_time`` is the start of the task in Unix seconds, ``remaining`` the seconds until its timeout. ``items``
    are ``(index, item)`` pairs, empty if the task only needs to be finished. ``started`` is true for the first claim of
    the task.
    """

    lease: str
    task_id: str
    evaluation_time: float
    remaining: float
    timeout: float
    locale: Locale
    callback: Callback | None
    items: tuple[tuple[int, PlannedItem], ...] = field(repr=False)
    canceled: str | None = None
    """Why the task was canceled, if it was."""
    started: bool = False


@frozen(kw_only=True)
class Renewal:
    """``held`` is false if the lease had expired, so that others may claim its items."""

    held: bool
    canceled: str | None = None


@frozen(kw_only=True)
class NewDelivery:
    """A delivery of a task's result. ``max_age`` in seconds."""

    id: str
    reporter: str
    callback: Callback | None
    max_age: float


@frozen(kw_only=True)
class Ending:
    """How a task ends. ``fill`` becomes the outcome of every item without a result."""

    status: TaskStatus
    message: str
    fill: Outcome
    deliveries: tuple[NewDelivery, ...] = ()


@frozen(kw_only=True)
class DeliveryClaim:
    """A lease on a delivery. ``age`` and ``max_age`` in seconds."""

    lease: str
    delivery: Delivery
    age: float
    max_age: float


@frozen(kw_only=True)
class TaskPage:
    """A page of tasks, newest first. ``next_cursor`` is ``None`` on the last page."""

    tasks: tuple[TaskState, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class DeadLetterPage:
    """A page of dead letters, newest first."""

    deadletters: tuple[DeadLetter, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class StoreCounts:
    """The contents of the store in numbers. ``received`` counts deliveries and is the sum of the next three."""

    pending: int
    running: int
    capacity: int
    received: int = 0
    delivered: int = 0
    dead: int = 0
    waiting: int = 0
    ended: Mapping[TaskStatus, int] = Factory(dict)
    """The tasks that have ended since the store was opened, by status."""


class Until(Enum):
    """What :meth:`TaskStore.wait` waits for."""

    CANCELED = "canceled"
    """The task has been canceled or has ended."""
    ENDED = "ended"


class TaskStore(Protocol):
    """Keeps tasks and deliveries, see the module. Many tasks may call its methods at the same time."""

    async def submit(self, task: NewTask) -> Submitted:
        """Store a new task.

        A task with the same id and digest is not stored again. Raises ``QueueFull`` at the limit of waiting tasks,
        ``Overloaded`` if undelivered results fill the store, and ``Conflict`` if a different task has this id.
        """
        ...

    async def claim(self, worker: str, *, limit: int, lease: float, wait: float) -> Claim | None:
        """Lease up to ``limit`` items of the first task by priority and age for ``lease`` seconds.

        Items whose lease has expired are leased again. Waits up to ``wait`` seconds, then returns ``None``.
        """
        ...

    async def claim_ending(self, worker: str, *, lease: float, wait: float) -> Claim | None:
        """Lease a task that only needs to be finished: canceled, overdue or with all results, and no other lease.

        The claim has no items. No other claim gets the task until the lease expires.
        """
        ...

    async def renew(self, lease: str, seconds: float) -> Renewal:
        """Extend a lease to ``seconds`` from now."""
        ...

    async def record(
        self, lease: str, results: Sequence[ItemRecord], *, running: int, log: Sequence[LogEntry] = ()
    ) -> int:
        """Store results and return the number of items without one. The first result of an item wins.

        ``running`` is the number of the lease's items that are running now, for the task's progress. ``log`` has the
        events since the last call, which are appended as :meth:`append_log` does. With an expired lease nothing changes
        and the result is 0.
        """
        ...

    async def release(self, lease: str) -> None:
        """End a lease. Its items without a result can be claimed again."""
        ...

    async def finish(self, task_id: str, ending: Ending) -> bool:
        """End a task: store results and deliveries in one atomic step. Returns false if it had ended before."""
        ...

    async def cancel(self, task_id: str, why: str) -> TaskState:
        """Cancel a task. Raises ``NotFound`` and ``TaskEnded``."""
        ...

    async def wait(self, task_id: str, until: Until, timeout: float) -> TaskState | None:
        """Wait up to ``timeout`` seconds and return the state, ``None`` for an unknown task."""
        ...

    async def read(self, task_id: str) -> TaskState | None:
        """Read a task's state, ``None`` for an unknown task."""
        ...

    async def read_result(self, task_id: str) -> bytes | None:
        """Read a task's result object as JSON in UTF-8. While the task runs, it has the results so far."""
        ...

    async def list(self, *, status: TaskStatus | None, limit: int, cursor: str | None) -> TaskPage:
        """List tasks, newest first. Raises ``Invalid`` for an invalid cursor."""
        ...

    async def append_log(self, task_id: str, entries: Sequence[LogEntry]) -> None:
        """Append to a task's execution log. Entries of an unknown task are dropped."""
        ...

    async def read_log(self, task_id: str) -> TaskLog | None:
        """Read a task's execution log, ``None`` for an unknown task."""
        ...

    async def counts(self) -> StoreCounts:
        """Count what the store holds."""
        ...

    async def claim_delivery(self, reporter: str, *, lease: float, wait: float) -> DeliveryClaim | None:
        """Lease the next due delivery of a reporter, waiting up to ``wait`` seconds."""
        ...

    async def ack(self, lease: str) -> None:
        """Remove a delivery that has arrived."""
        ...

    async def retry(self, lease: str, after: float, why: str) -> None:
        """Make a delivery due again in ``after`` seconds."""
        ...

    async def dead_letter(self, lease: str, why: str) -> None:
        """Turn a delivery into a dead letter."""
        ...

    async def dead_letters(self, *, limit: int, cursor: str | None) -> DeadLetterPage:
        """List dead letters, newest first. Raises ``Invalid`` for an invalid cursor."""
        ...

    async def requeue(self, delivery_id: str) -> None:
        """Put a dead letter back into the queue with a new age. Raises ``NotFound``."""
        ...


@frozen(kw_only=True)
class StoreLimits:
    """Limits of a store: tasks that have not ended by number and bytes, ended ones by seconds and bytes."""

    max_pending: int = 1000
    queue_bytes: int = 64 * 1024 * 1024
    """For tasks that have not ended. A single task is accepted at any size."""
    keep_seconds: float = 24 * 3600.0
    keep_bytes: int = 128 * 1024 * 1024
    outbox_bytes: int = 128 * 1024 * 1024


@frozen(kw_only=True)
class TaskStoreSpec(Generic[S]):
    """Announces a task store. ``name`` is its value of ``CANDY_TASK_STORE``."""

    name: str
    settings: type[S]
    open: Callable[[PluginContext, S, StoreLimits], AbstractAsyncContextManager[TaskStore]]
    check: Callable[[Any], Awaitable[Health]] | None = None
