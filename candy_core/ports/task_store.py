"""The task store: tasks, their execution logs and the outbox of deliveries.

One agent keeps them in memory; several agents that share a store share the work. Times are the store's: a claim tells
the seconds that remain, which the agent then measures on its own monotonic clock. Every implementation passes the
suite :class:`candy_core.testing.task_store.TaskStoreSuite`.
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
    """A task to be kept.

    ``digest`` is equal for request bodies that are equal as JSON values; ``size`` is about what the task takes in
    memory while it waits, in bytes.
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
    """``created`` is false where the same task was there already."""

    state: TaskState
    created: bool


@frozen(kw_only=True)
class Claim:
    """A lease on a slice of a task's items.

    ``evaluation_time`` is the start of the task in Unix seconds, ``remaining`` the seconds until its timeout.
    ``items`` are ``(index, item)`` pairs; empty where the task has only to be ended. ``started`` is true for the
    claim that set the task running.
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
    """``held`` is false where the lease had run out and the items belong to somebody else."""

    held: bool
    canceled: str | None = None


@frozen(kw_only=True)
class NewDelivery:
    """A delivery to be made of a task's result. ``max_age`` in seconds."""

    id: str
    reporter: str
    callback: Callback | None
    max_age: float


@frozen(kw_only=True)
class Ending:
    """How a task ends. ``fill`` becomes the result of every item that has none."""

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
    """A page of tasks, newest first; ``next_cursor`` is ``None`` on the last."""

    tasks: tuple[TaskState, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class DeadLetterPage:
    """A page of dead letters, newest first."""

    deadletters: tuple[DeadLetter, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class StoreCounts:
    """How full the store is. Deliveries: ``received`` is always the sum of the three that follow it."""

    pending: int
    running: int
    capacity: int
    received: int = 0
    delivered: int = 0
    dead: int = 0
    waiting: int = 0
    ended: Mapping[TaskStatus, int] = Factory(dict)
    """Tasks ended since the store was opened, by status."""


class Until(Enum):
    """What :meth:`TaskStore.wait` waits for."""

    CANCELED = "canceled"
    """A cancel was asked for, or the task has ended."""
    ENDED = "ended"


class TaskStore(Protocol):
    """See the module. Every method is safe to call from many tasks at once."""

    async def submit(self, task: NewTask) -> Submitted:
        """Keep a task for running.

        Raises ``QueueFull`` at the bound of waiting tasks, ``Overloaded`` where undelivered results fill the store,
        ``Conflict`` where another task has this id. A task of the same id and digest is answered, not kept again.
        """
        ...

    async def claim(self, worker: str, *, limit: int, lease: float, wait: float) -> Claim | None:
        """Lease up to ``limit`` items of the first task by priority, then age, waiting up to ``wait`` seconds for one.

        Items whose lease of ``lease`` seconds has run out are given out again. ``None`` when there is nothing.
        """
        ...

    async def claim_ending(self, worker: str, *, lease: float, wait: float) -> Claim | None:
        """Lease a task that only has to be ended: canceled, overdue or with all results, and nobody at work on it.

        Its items are empty. Until it is finished, or the lease has run out, nobody else is given it.
        """
        ...

    async def renew(self, lease: str, seconds: float) -> Renewal:
        """Hold a lease for ``seconds`` from now."""
        ...

    async def record(
        self, lease: str, results: Sequence[ItemRecord], *, running: int, log: Sequence[LogEntry] = ()
    ) -> int:
        """Keep results; the first write of an item wins. Gives the number of items that have none yet.

        ``running`` is how many of the lease's items are being run at this moment, for the task's progress; ``log`` is
        what happened to items since the last call, and added to the task's log as :meth:`append_log` does. A lease that
        has run out changes nothing, and has 0 for an answer.
        """
        ...

    async def release(self, lease: str) -> None:
        """Give back a lease, and with it the items that have no result."""
        ...

    async def finish(self, task_id: str, ending: Ending) -> bool:
        """End a task: results and deliveries in one atomic step. False where it had ended before."""
        ...

    async def cancel(self, task_id: str, why: str) -> TaskState:
        """Ask for the end of a task. Raises ``NotFound``, ``TaskEnded``."""
        ...

    async def wait(self, task_id: str, until: Until, timeout: float) -> TaskState | None:
        """Wait up to ``timeout`` seconds, then give the present state; ``None`` for an unknown task."""
        ...

    async def read(self, task_id: str) -> TaskState | None:
        """A task's state."""
        ...

    async def read_result(self, task_id: str) -> bytes | None:
        """A task's result object as JSON in UTF-8; while it runs, with the results so far."""
        ...

    async def list(self, *, status: TaskStatus | None, limit: int, cursor: str | None) -> TaskPage:
        """Tasks, newest first. Raises ``Invalid`` for a cursor that is none of the store's."""
        ...

    async def append_log(self, task_id: str, entries: Sequence[LogEntry]) -> None:
        """Add to a task's execution log; entries of a task that is gone are dropped."""
        ...

    async def read_log(self, task_id: str) -> TaskLog | None:
        """A task's execution log."""
        ...

    async def counts(self) -> StoreCounts:
        """How full the store is."""
        ...

    async def claim_delivery(self, reporter: str, *, lease: float, wait: float) -> DeliveryClaim | None:
        """Lease the next delivery that is due for a reporter."""
        ...

    async def ack(self, lease: str) -> None:
        """It has arrived."""
        ...

    async def retry(self, lease: str, after: float, why: str) -> None:
        """Try it again in ``after`` seconds."""
        ...

    async def dead_letter(self, lease: str, why: str) -> None:
        """Make it a dead letter."""
        ...

    async def dead_letters(self, *, limit: int, cursor: str | None) -> DeadLetterPage:
        """Dead letters, newest first. Raises ``Invalid`` for a cursor that is none of the store's."""
        ...

    async def requeue(self, delivery_id: str) -> None:
        """Send a dead letter again, with a fresh age. Raises ``NotFound``."""
        ...


@frozen(kw_only=True)
class StoreLimits:
    """What a store keeps: tasks that have not ended by number and bytes, ended ones by seconds and bytes."""

    max_pending: int = 1000
    queue_bytes: int = 64 * 1024 * 1024
    """The tasks that have not ended; a task that is alone is always taken."""
    keep_seconds: float = 24 * 3600.0
    keep_bytes: int = 128 * 1024 * 1024
    outbox_bytes: int = 128 * 1024 * 1024


@frozen(kw_only=True)
class TaskStoreSpec(Generic[S]):
    """Announces a store; ``name`` is what ``CANDY_TASK_STORE`` may say."""

    name: str
    settings: type[S]
    open: Callable[[PluginContext, S, StoreLimits], AbstractAsyncContextManager[TaskStore]]
    check: Callable[[Any], Awaitable[Health]] | None = None
