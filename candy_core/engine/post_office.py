"""Deliveries with their disk: the outbox in memory, and the spool that outlives the process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from candy_core.engine.clock import Clock
from candy_core.engine.cursor import from_cursor, to_cursor
from candy_core.engine.outbox import Letter, Outbox
from candy_core.engine.spool import Spool, SpooledDelivery
from candy_core.engine.wakeup import Signal
from candy_core.model.task import Event
from candy_core.ports.reporter import Delivery
from candy_core.ports.task_store import DeadLetterPage, DeliveryClaim, NewDelivery

_log = structlog.get_logger("candy.store")


class PostOffice:
    """The half of the embedded store that deliveries go through; its methods are the port's."""

    def __init__(self, limit: int, clock: Clock, spool: Spool | None) -> None:
        self.outbox = Outbox(limit)
        self._limit = limit
        self._clock = clock
        self._spool = spool
        self._changed = Signal()

    @property
    def full(self) -> bool:
        """Whether undelivered documents fill what was set aside for them."""
        return self.outbox.size > self._limit

    def letters(
        self, task_id: str, deliveries: Sequence[NewDelivery], document: bytes, now: datetime
    ) -> Sequence[Letter]:
        """A letter with the task's result for each delivery that it owes."""
        return [
            Letter(
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
                born=self._clock.monotonic(),
            )
            for new in deliveries
        ]

    async def write_down(self, letters: Sequence[Letter]) -> None:
        """Put letters on the disk, if there is one for them, before they are taken in."""
        for letter in letters:
            await self._to_spool(letter)

    async def take_back(self, letters: Sequence[Letter]) -> None:
        """Remove from the disk what was written down for nothing."""
        await self._off_spool([letter.delivery.id for letter in letters])

    def take_in(self, letters: Sequence[Letter]) -> None:
        """Make letters due."""
        for letter in letters:
            self.outbox.add(letter)
        if letters:  # most tasks owe none, and there are many who wait
            self._changed.notify()

    async def restore(self) -> int:
        """Take over what the spool kept from an earlier process. Gives the number of deliveries that wait."""
        if self._spool is None:
            return 0
        now = self._clock.monotonic()
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
            letter = Letter(delivery, entry.max_age, born=now - max(0.0, wall - entry.created_at), dead=entry.dead)
            if entry.dead is not None:
                letter.buried = datetime.fromtimestamp(entry.given_up_at or wall, UTC)
            self.outbox.add(letter)
        await self._off_spool(self.outbox.take_forgotten())
        self._changed.notify()
        return self.outbox.waiting

    async def claim(self, reporter: str, *, lease: float, wait: float) -> DeliveryClaim | None:
        """See the port of the same name."""
        until = self._clock.monotonic() + wait
        while True:
            now = self._clock.monotonic()
            claim = self.outbox.claim(reporter, lease, now)
            if claim is not None or now >= until:
                return claim
            due = self.outbox.next_due(reporter)
            await self._changed.wait(min(until, until if due is None else due) - now)

    async def ack(self, lease: str) -> None:
        """See the port of the same name."""
        delivery_id = self.outbox.ack(lease)
        if delivery_id is not None:
            await self._off_spool([delivery_id])

    def retry(self, lease: str, after: float) -> None:
        """See the port of the same name."""
        self.outbox.retry(lease, after, self._clock.monotonic())
        self._changed.notify()

    async def bury(self, lease: str, why: str) -> None:
        """See the port of the same name."""
        letter = self.outbox.bury(lease, why, self._clock.now())
        if letter is not None:
            await self._to_spool(letter)
            await self._off_spool(self.outbox.take_forgotten())

    def dead_letters(self, limit: int, cursor: str | None) -> DeadLetterPage:
        """See the port of the same name."""
        letters, following = self.outbox.dead_letters(limit, from_cursor(cursor))
        return DeadLetterPage(deadletters=letters, next_cursor=None if following is None else to_cursor(following))

    async def revive(self, delivery_id: str) -> None:
        """See the port of the same name."""
        letter = self.outbox.revive(delivery_id, self._clock.monotonic())
        self._changed.notify()
        await self._to_spool(letter)

    async def _to_spool(self, letter: Letter) -> None:
        if self._spool is None:
            return
        delivery = letter.delivery
        entry = SpooledDelivery(
            id=delivery.id,
            task_id=delivery.task_id,
            reporter=delivery.reporter,
            callback=delivery.callback,
            document=delivery.document,
            created_at=delivery.created_at.timestamp(),
            max_age=letter.max_age,
            dead=letter.dead,
            attempts=delivery.attempt,
            given_up_at=letter.buried.timestamp() if letter.buried else None,
        )
        try:
            await asyncio.to_thread(self._spool.write, entry)
        except OSError as error:  # a full disk must not lose what the memory still holds
            _log.error("spool_failed", task_id=delivery.task_id, error=str(error), consequence="kept in memory alone")

    async def _off_spool(self, ids: Sequence[str]) -> None:
        if self._spool is not None:
            for delivery_id in ids:
                await asyncio.to_thread(self._spool.remove, delivery_id)
