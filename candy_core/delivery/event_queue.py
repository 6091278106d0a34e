"""Events that are sent at most once: ``started`` and ``progress`` (contract section 4)."""

from __future__ import annotations

import asyncio

from candy_core.delivery.attempt import HostedReporter, attempt
from candy_core.hosting.calls import Calls
from candy_core.metrics import Metrics
from candy_core.model.task import Event
from candy_core.ports.context import Logger
from candy_core.ports.reporter import Delivered, Delivery

MAX_QUEUED = 1000
"""How many events can wait for one reporter. Further ones are dropped and counted."""
SEND_TIMEOUT = 10.0
"""Time limit for sending one event, in seconds."""


class EventQueue:
    """The queued events of one reporter.

    They are sent one at a time, so that ``progress`` never overtakes ``started``. A ``progress`` event replaces an
    older one of the same task that is still queued.
    """

    def __init__(self, hosted: HostedReporter, *, calls: Calls, metrics: Metrics, logger: Logger) -> None:
        self._hosted = hosted
        self._calls = calls
        self._metrics = metrics
        self._logger = logger
        self._queued: dict[tuple[str, Event], Delivery] = {}
        self._not_empty = asyncio.Event()
        self._sending: str | None = None
        """The id of the task whose event is being sent."""
        self._sent = asyncio.Event()
        self._running = False

    def put(self, delivery: Delivery) -> None:
        """Queue an event; never blocks."""
        key = (delivery.task_id, delivery.event)
        if key in self._queued or len(self._queued) >= MAX_QUEUED:
            self._metrics.events_lost.inc()
            if key not in self._queued:
                return
        self._queued[key] = delivery
        self._sent.clear()
        self._not_empty.set()

    async def run(self) -> None:
        """Send until canceled."""
        self._running = True
        try:
            while True:
                while not self._queued:
                    self._not_empty.clear()
                    await self._not_empty.wait()
                await self._send(self._queued.pop(next(iter(self._queued))))
        finally:
            self._running = False
            self._sent.set()

    async def discard(self, task_id: str) -> None:
        """Drop a task's queued events and wait for the one that is being sent.

        Called before the task's result is delivered: no event must arrive after it.
        """
        for event in Event:
            if self._queued.pop((task_id, event), None) is not None:
                self._metrics.events_lost.inc()
        while self._sending == task_id:
            await self._sent.wait()

    async def wait_empty(self) -> None:
        """Wait until every event has been sent."""
        while self._running and (self._queued or self._sending is not None):
            await self._sent.wait()

    async def _send(self, delivery: Delivery) -> None:
        self._sending = delivery.task_id
        self._sent.clear()
        try:
            answer = await attempt(
                self._hosted,
                delivery,
                seconds=SEND_TIMEOUT,
                calls=self._calls,
                metrics=self._metrics,
                logger=self._logger,
            )
            if not isinstance(answer, Delivered):
                self._metrics.events_lost.inc()
        finally:
            self._sending = None
            self._sent.set()
