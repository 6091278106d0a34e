"""What comes of a claim's items, on its way to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from datetime import datetime

from candy_core.engine.attempt import Told
from candy_core.engine.clock import Clock
from candy_core.engine.gathering import Part
from candy_core.metrics import Metrics
from candy_core.model.task import ItemStatus, LogEntry
from candy_core.ports.planned_item import ItemRecord
from candy_core.ports.task_store import TaskStore


class Journal:
    """Takes down what happens without keeping anybody waiting, and writes it into the store.

    What has come while the store was busy goes in one call: results, log, and how many items are being run.
    """

    def __init__(self, store: TaskStore, lease: str, *, types: Container[str], metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._lease = lease
        self._types = types
        self._metrics = metrics
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._running = 0
        self._results: list[ItemRecord] = []
        self._entries: list[LogEntry] = []
        self._wake = asyncio.Event()
        self._closed = False
        self._broken = False

    def started(self, parts: Sequence[Part]) -> None:
        """These are being run from now on."""
        self._running += len(parts)
        now = self._clock.now()
        for part in parts:
            self._note(now, "info", "item_started", part)

    def tried_again(self, part: Part, reason: str) -> None:
        """This one will be asked about again."""
        self._note(self._clock.now(), "warning", "item_retry", part, reason)

    def ended(self, told: Told) -> None:
        """This is the result of a part, its last."""
        part, outcome, text = told
        status = outcome.status
        self._results.append(ItemRecord(part.index, status, text))
        level = "info" if status is ItemStatus.NORMAL else "warning"
        self._note(self._clock.now(), level, "item_ended", part, f"{status} {outcome.reason}")
        if part.deadline:  # it had its turn
            self._running -= 1
        kind = part.planned.type if part.planned.type in self._types else "unknown"  # no caller makes new series
        self._metrics.item_ended(kind, status, self._loop.time() - part.started)

    async def write(self) -> None:
        """Write until closed, and all that was taken down by then."""
        while not self._closed or self._results or self._entries:
            await self._wake.wait()
            await self.flush()

    async def flush(self) -> None:
        """Write what there is. A store that has failed once is not asked again: whoever holds the items next has to."""
        self._wake.clear()
        results, entries = self._results, self._entries
        if self._broken or not (results or entries):
            return
        self._results, self._entries = [], []
        try:
            await self._store.record(self._lease, results, running=self._running, log=entries)
        except asyncio.CancelledError:
            self._results[:0] = results  # if it has them already, the first write has won
            self._entries[:0] = entries
            raise
        except Exception:
            self._broken = True
            raise

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True
        self._wake.set()

    def _note(self, now: datetime, level: str, event: str, part: Part, detail: str = "") -> None:
        if not self._entries:
            self._wake.set()
        entry = LogEntry(time=now, level=level, event=event, item_id=part.planned.id, detail=detail)
        self._entries.append(entry)
