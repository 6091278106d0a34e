"""The results and log entries of a claim's items, on their way to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from datetime import datetime

from candy_core.clock import Clock
from candy_core.engine.attempt import ItemOutcome
from candy_core.engine.batching import RunningItem
from candy_core.metrics import Metrics
from candy_core.model.task import ItemStatus, LogEntry
from candy_core.ports.planned_item import ItemRecord
from candy_core.ports.task_store import TaskStore


class ResultWriter:
    """Collects what happens without making its caller wait, and writes it into the store.

    What came while the store was busy goes in one call: results, log, and how many items are running.
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

    def started(self, batch: Sequence[RunningItem]) -> None:
        """These items run from now on."""
        self._running += len(batch)
        now = self._clock.now()
        for running in batch:
            self._add_entry(now, "info", "item_started", running)

    def retried(self, running: RunningItem, reason: str) -> None:
        """This item will be tried again."""
        self._add_entry(self._clock.now(), "warning", "item_retry", running, reason)

    def ended(self, final: ItemOutcome) -> None:
        """This is the final result of an item."""
        running, outcome, text = final
        status = outcome.status
        self._results.append(ItemRecord(running.index, status, text))
        level = "info" if status is ItemStatus.NORMAL else "warning"
        self._add_entry(self._clock.now(), level, "item_ended", running, f"{status} {outcome.reason}")
        if running.deadline:  # it did run
            self._running -= 1
        kind = running.planned.type if running.planned.type in self._types else "unknown"  # no caller makes new series
        self._metrics.item_ended(kind, status, self._loop.time() - running.started)

    async def write(self) -> None:
        """Write until closed, and everything collected by then."""
        while not self._closed or self._results or self._entries:
            await self._wake.wait()
            await self.flush()

    async def flush(self) -> None:
        """Write what there is. A store that has failed once is not called again: the next lease runs the items anew."""
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
        """End :meth:`write`, once everything is written."""
        self._closed = True
        self._wake.set()

    def _add_entry(self, now: datetime, level: str, event: str, running: RunningItem, detail: str = "") -> None:
        if not self._entries:
            self._wake.set()
        entry = LogEntry(time=now, level=level, event=event, item_id=running.planned.id, detail=detail)
        self._entries.append(entry)
