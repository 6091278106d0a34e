"""Deliveries of the store in memory: waiting, leased or dead-lettered, and their copies in the spool."""

from __future__ import annotations

import asyncio
import heapq
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from attrs import define, evolve

from candy_core.clock import Clock
from candy_core.errors import NotFound
from candy_core.model.task import DeadLetter, Event
from candy_core.ports.reporter import Delivery
from candy_core.ports.task_store import DeadLetterPage, DeliveryClaim, NewDelivery
from candy_core.store.cursor import from_cursor, to_cursor
from candy_core.store.spool import Spool, SpooledDelivery
from candy_core.store.wakeup import Signal

_log = structlog.get_logger("candy.store")


@define
class QueuedDelivery:
    """One delivery. ``enqueued`` and ``due`` are on the monotonic clock; ``lease`` is empty while it waits."""

    delivery: Delivery
    max_age: float
    enqueued: float
    due: float = 0.0
    sequence: int = 0
    lease: str = ""
    expires: float = 0.0
    dead: str | None = None
    """Why it was given up; ``None`` while it has not been."""
    given_up_at: datetime | None = None


class DeliveryQueue:
    """The half of the task store that keeps deliveries; its public methods are those of the port.

    Every delivery that was received is delivered, dead-lettered or waiting, at every moment (contract section 4).
    ``limit`` is the bound of waiting documents, and of dead-lettered ones, in bytes.
    """

    def __init__(self, limit: int, clock: Clock, spool: Spool | None) -> None:
        self._limit = limit
        self._clock = clock
        self._spool = spool
        self._waiting: dict[str, QueuedDelivery] = {}
        self._leased: dict[str, QueuedDelivery] = {}
        self._due: dict[str, list[tuple[float, int, str]]] = {}
        self._dead: OrderedDict[str, QueuedDelivery] = OrderedDict()
        self._waiting_bytes = self._dead_bytes = 0
        self._received = self._delivered = self._dead_lettered = 0
        self._last_sequence = 0
        self._changed = Signal()

    async def claim_delivery(self, reporter: str, *, lease: float, wait: float) -> DeliveryClaim | None:
        """See the port."""
        until = self._clock.monotonic() + wait
        while True:
            now = self._clock.monotonic()
            claim = self._claim_due(reporter, lease, now)
            if claim is not None or now >= until:
                return claim
            await self._changed.wait(min(until, self._next_due(reporter, until)) - now)

    async def ack(self, lease: str) -> None:
        """See the port."""
        queued = self._end_lease(lease)
        if queued is not None:
            self._remove(queued)
            self._delivered += 1
            await self._unspool(queued.delivery.id)

    async def retry(self, lease: str, after: float, why: str) -> None:
        """See the port."""
        queued = self._end_lease(lease)
        if queued is not None:
            queued.due = self._clock.monotonic() + after
            self._schedule(queued)
        self._changed.notify()

    async def dead_letter(self, lease: str, why: str) -> None:
        """See the port."""
        queued = self._end_lease(lease)
        if queued is not None:
            self._remove(queued)
            queued.dead, queued.given_up_at = why, self._clock.now()
            forgotten = self._add_dead(queued)
            await self._spool_all([queued])
            await self._unspool(*forgotten)

    async def dead_letters(self, *, limit: int, cursor: str | None) -> DeadLetterPage:
        """See the port."""
        before = from_cursor(cursor)
        page: list[QueuedDelivery] = []
        for queued in reversed(self._dead.values()):
            if before is not None and queued.sequence >= before:
                continue
            if len(page) == limit:
                return DeadLetterPage(deadletters=_shown(page), next_cursor=to_cursor(page[-1].sequence))
            page.append(queued)
        return DeadLetterPage(deadletters=_shown(page), next_cursor=None)

    async def requeue(self, delivery_id: str) -> None:
        """See the port."""
        queued = self._dead.pop(delivery_id, None)
        if queued is None:
            raise NotFound(f"no dead letter has the id {delivery_id[:128]!r}")
        self._dead_bytes -= len(queued.delivery.document)
        self._dead_lettered -= 1
        queued.dead = queued.given_up_at = None
        queued.enqueued = queued.due = self._clock.monotonic()
        queued.delivery = evolve(queued.delivery, attempt=0)
        self._add_waiting(queued)
        self._changed.notify()
        await self._spool_all([queued])

    async def restore(self) -> int:
        """Take over what the spool kept from an earlier process. Gives the number of deliveries that wait."""
        if self._spool is None:
            return 0
        wall = self._clock.now().timestamp()
        entries = await asyncio.to_thread(self._spool.load)
        for entry in sorted(entries, key=lambda entry: entry.given_up_at or entry.created_at):
            delivery = Delivery(
                id=entry.id,
                task_id=entry.task_id,
                reporter=entry.reporter,
                event=Event.ENDED,
                callback=entry.callback,
                document=entry.document,
                created_at=datetime.fromtimestamp(entry.created_at, UTC),
                attempt=entry.attempts,
            )
            age = max(0.0, wall - entry.created_at)
            queued = QueuedDelivery(delivery, entry.max_age, enqueued=self._clock.monotonic() - age, dead=entry.dead)
            if entry.dead is not None:
                queued.given_up_at = datetime.fromtimestamp(entry.given_up_at or wall, UTC)
            await self._unspool(*self._receive([queued]))
        self._changed.notify()
        return len(self._waiting)

    @property
    def _full(self) -> bool:
        """Whether waiting documents fill the memory set aside for them."""
        return self._waiting_bytes > self._limit

    def _deliveries_of(
        self, task_id: str, deliveries: Sequence[NewDelivery], document: bytes, now: datetime
    ) -> Sequence[QueuedDelivery]:
        """What a task that ends has to have delivered; not in the queue yet."""
        return [
            QueuedDelivery(
                delivery=Delivery(
                    id=new.id,
                    task_id=task_id,
                    reporter=new.reporter,
                    event=Event.ENDED,
                    callback=new.callback,
                    document=document,
                    created_at=now,
                    attempt=0,
                ),
                max_age=new.max_age,
                enqueued=self._clock.monotonic(),
            )
            for new in deliveries
        ]

    def _enqueue(self, deliveries: Sequence[QueuedDelivery]) -> None:
        """Put deliveries into the queue, due at once."""
        self._receive(deliveries)
        if deliveries:  # most tasks owe none, and there are many waiters
            self._changed.notify()

    def _receive(self, deliveries: Sequence[QueuedDelivery]) -> list[str]:
        """Count and keep deliveries. Gives the ids of dead letters that had to go for them."""
        forgotten: list[str] = []
        for queued in deliveries:
            self._received += 1
            if queued.dead is None:
                self._add_waiting(queued)
            else:
                forgotten += self._add_dead(queued)
        return forgotten

    def _next_due(self, reporter: str, default: float) -> float:
        """When the reporter's next delivery is due or its next lease runs out, on the monotonic clock."""
        due = [moment for moment, _, _ in self._due.get(reporter, ())[:1]]
        due += [queued.expires for queued in self._leased.values() if queued.delivery.reporter == reporter]
        return min(due, default=default)

    def _claim_due(self, reporter: str, seconds: float, now: float) -> DeliveryClaim | None:
        for expired in [queued for queued in self._leased.values() if queued.expires <= now]:
            self._end_lease(expired.lease)
            self._schedule(expired)
        queue = self._due.get(reporter, [])
        if not queue or queue[0][0] > now:
            return None
        queued = self._waiting[heapq.heappop(queue)[2]]
        queued.delivery = evolve(queued.delivery, attempt=queued.delivery.attempt + 1)
        queued.lease, queued.expires = uuid.uuid4().hex, now + seconds
        self._leased[queued.lease] = queued
        return DeliveryClaim(
            lease=queued.lease, delivery=queued.delivery, age=now - queued.enqueued, max_age=queued.max_age
        )

    def _end_lease(self, lease: str) -> QueuedDelivery | None:
        """The delivery of a lease, which ends; ``None`` where it had run out."""
        queued = self._leased.pop(lease, None)
        if queued is not None:
            queued.lease = ""
        return queued

    def _add_waiting(self, queued: QueuedDelivery) -> None:
        queued.sequence = self._next_sequence()
        self._waiting[queued.delivery.id] = queued
        self._waiting_bytes += len(queued.delivery.document)
        self._schedule(queued)

    def _schedule(self, queued: QueuedDelivery) -> None:
        queue = self._due.setdefault(queued.delivery.reporter, [])
        heapq.heappush(queue, (queued.due, queued.sequence, queued.delivery.id))

    def _remove(self, queued: QueuedDelivery) -> None:
        del self._waiting[queued.delivery.id]
        self._waiting_bytes -= len(queued.delivery.document)

    def _add_dead(self, queued: QueuedDelivery) -> list[str]:
        """Keep a dead letter. Gives the ids of the oldest ones, which had to go for it."""
        queued.sequence = self._next_sequence()  # newest first means by when they were given up
        self._dead[queued.delivery.id] = queued
        self._dead_bytes += len(queued.delivery.document)
        self._dead_lettered += 1
        forgotten: list[str] = []
        while self._dead_bytes > self._limit and len(self._dead) > 1:
            oldest, dropped = self._dead.popitem(last=False)
            self._dead_bytes -= len(dropped.delivery.document)
            forgotten.append(oldest)
        return forgotten

    def _next_sequence(self) -> int:
        self._last_sequence += 1
        return self._last_sequence

    async def _spool_all(self, deliveries: Sequence[QueuedDelivery]) -> None:
        """Write deliveries to the disk, if there is a spool."""
        if self._spool is None:
            return
        for queued in deliveries:
            delivery = queued.delivery
            entry = SpooledDelivery(
                id=delivery.id,
                task_id=delivery.task_id,
                reporter=delivery.reporter,
                callback=delivery.callback,
                document=delivery.document,
                created_at=delivery.created_at.timestamp(),
                max_age=queued.max_age,
                dead=queued.dead,
                attempts=delivery.attempt,
                given_up_at=queued.given_up_at.timestamp() if queued.given_up_at else None,
            )
            try:
                await asyncio.to_thread(self._spool.write, entry)
            except OSError as error:  # a full disk must not lose what the memory still holds
                _log.error("spool_failed", task_id=delivery.task_id, error=str(error), consequence="kept in memory")

    async def _unspool(self, *ids: str) -> None:
        if self._spool is not None:
            for delivery_id in ids:
                await asyncio.to_thread(self._spool.remove, delivery_id)


def _shown(page: Sequence[QueuedDelivery]) -> tuple[DeadLetter, ...]:
    return tuple(
        DeadLetter(
            id=queued.delivery.id,
            task_id=queued.delivery.task_id,
            reporter=queued.delivery.reporter,
            attempts=queued.delivery.attempt,
            reason=queued.dead or "",
            created_at=queued.delivery.created_at,
            given_up_at=queued.given_up_at or queued.delivery.created_at,
        )
        for queued in page
    )
