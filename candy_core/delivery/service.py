"""Delivers results from the store through the reporters: attempts, retries and dead letters (contract section 4).

A delivery is claimed from the store, attempted once by its reporter, and then acknowledged, retried later or
dead-lettered. The store keeps it until then, so a result is delivered at least once. The delivery's id is sent with
it, so that the receiver can recognize a duplicate.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar, cast
from uuid import uuid4

from candy_core.backoff import Backoff
from candy_core.codec import encode
from candy_core.delivery.attempt import HostedReporter, attempt
from candy_core.delivery.event_queue import EventQueue
from candy_core.errors import Problem
from candy_core.faults import secrets_of, traceback_of
from candy_core.hosting.calls import CANCEL_GRACE, Calls
from candy_core.metrics import Metrics
from candy_core.model.task import Callback, Event, LogEntry, TaskState
from candy_core.ports.context import Logger
from candy_core.ports.reporter import Answer, Delivered, Delivery, Refused, Retry
from candy_core.ports.task_store import DeliveryClaim, NewDelivery, TaskStore

T = TypeVar("T")

ATTEMPT_SECONDS = 60.0
"""Time limit of one attempt; after that it is canceled."""
LEASE_SECONDS = 120.0
"""The lease of a delivery: longer than an attempt, its cancellation and the store's answer together."""
SHORTEST_PAUSE = 1.0
"""Minimum seconds between two attempts."""
DEFAULT_MAX_AGE = 24 * 3600.0
_CLAIM_WAIT = 30.0
_STORE_PAUSE = 1.0
_BLOCKED_SECONDS = 900.0  # a blocked delivery is retried every 5 minutes: without a retry for 15 it is gone


class DeliveryService:
    """Delivers results from the store, and events without the store.

    ``workers`` is the number of concurrent deliveries per reporter. Each reporter has workers of its own, so that a
    slow one delays neither another reporter nor a task. ``uniform`` draws the jitter, ``monotonic`` measures time.
    """

    def __init__(
        self,
        *,
        store: TaskStore,
        reporters: Mapping[str, HostedReporter],
        metrics: Metrics,
        logger: Logger,
        workers: int = 8,
        attempt_seconds: float = ATTEMPT_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        cancel_grace: float = CANCEL_GRACE,
        uniform: Callable[[float, float], float] = random.uniform,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._reporters = dict(reporters)
        self._metrics = metrics
        self._logger = logger
        self._workers = workers
        self._attempt_seconds = attempt_seconds
        self._lease_seconds = lease_seconds
        self._calls = Calls(cancel_grace)
        self._backoff = Backoff(first=2.0, longest=300.0, shortest=SHORTEST_PAUSE, jitter=(0.0, 1.0), uniform=uniform)
        self._monotonic = monotonic
        self._events = {
            name: EventQueue(hosted, calls=self._calls, metrics=metrics, logger=logger)
            for name, hosted in self._reporters.items()
        }
        self._blocked: dict[tuple[str, str | None], tuple[str, float]] = {}
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def plan(self, task_id: str, callback: Callback | None) -> tuple[NewDelivery, ...]:
        """The deliveries for a task that ends; without I/O.

        A reporter with formats gets the tasks whose ``callback.format`` is one of them, a reporter without formats
        gets every task; and only if its ``wants`` says so.
        """
        return tuple(
            NewDelivery(id=uuid4().hex, reporter=name, callback=callback, max_age=self._max_age(hosted))
            for name, hosted in self._reporters.items()
            if self._wants(hosted, callback)
        )

    def check_callback(self, callback: Callback) -> Sequence[Problem]:
        """All problems of a task's callback, with paths relative to it (``$.url``)."""
        usable = [hosted for hosted in self._reporters.values() if hosted.settings is not None]
        formats = sorted({name for hosted in usable for name in hosted.spec.formats})
        if callback.format not in formats:
            return [Problem("$.format", f"no reporter has this format; known: {', '.join(formats) or 'none'}")]
        problems: list[Problem] = []
        for hosted in usable:
            if _accepts_format(hosted, callback):
                problems += self._call_plugin(hosted, partial(_problems_with, hosted, callback), default=())
        return problems

    def announce(self, event: Event, state: TaskState, callback: Callback | None) -> None:
        """Send an event if the task wants it. Never blocks; the event is lost if it cannot be sent."""
        if callback is None or event not in callback.events or event is Event.ENDED:
            return
        for name, hosted in self._reporters.items():
            if self._wants(hosted, callback):
                self._events[name].put(
                    Delivery(
                        id=uuid4().hex,
                        task_id=state.task_id,
                        reporter=name,
                        event=event,
                        callback=callback,
                        document=encode(state),
                        created_at=datetime.now(UTC),
                    )
                )

    def blocked(self) -> Mapping[str, str]:
        """The reporters that cannot deliver until an operator acts, and why."""
        oldest = self._monotonic() - _BLOCKED_SECONDS
        self._blocked = {key: value for key, value in self._blocked.items() if value[1] > oldest}
        return {reporter: why for (reporter, _), (why, _) in self._blocked.items()}

    async def run(self) -> None:
        """Deliver until canceled."""
        async with asyncio.TaskGroup() as group:
            for name, hosted in self._reporters.items():
                group.create_task(self._events[name].run(), name=f"events:{name}")
                for number in range(self._workers):
                    group.create_task(self._work(hosted), name=f"deliver:{name}:{number}")

    async def flush(self, seconds: float) -> None:
        """Attempt every due delivery, and wait for those in flight, for at most ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for hosted in self._reporters.values():
                    for _ in range(self._workers):
                        group.create_task(self._drain(hosted))
                group.create_task(self._events_sent())
                await self._idle.wait()

    async def _events_sent(self) -> None:
        for events in self._events.values():
            await events.wait_empty()

    async def _drain(self, hosted: HostedReporter) -> None:
        while (claim := await self._claim(hosted, wait=0.0)) is not None:
            await self._deliver(hosted, claim)

    async def _work(self, hosted: HostedReporter) -> None:
        while True:
            claim = await self._claim(hosted, wait=_CLAIM_WAIT)
            if claim is not None:
                await self._deliver(hosted, claim)

    async def _claim(self, hosted: HostedReporter, *, wait: float) -> DeliveryClaim | None:
        try:
            return await self._store.claim_delivery(hosted.name, lease=self._lease_seconds, wait=wait)
        except Exception:
            self._logger.exception("delivery_claim_failed", reporter=hosted.name)
            await asyncio.sleep(_STORE_PAUSE)
            return None

    async def _deliver(self, hosted: HostedReporter, claim: DeliveryClaim) -> None:
        """Attempt a delivery and record the answer. If the store fails, it is delivered again when the lease ends."""
        self._in_flight += 1
        self._idle.clear()
        try:
            began = self._monotonic()
            await self._events[hosted.name].discard(claim.delivery.task_id)
            answer = await attempt(
                hosted,
                claim.delivery,
                seconds=self._attempt_seconds,
                calls=self._calls,
                metrics=self._metrics,
                logger=self._logger,
            )
            self._update_blocked(claim.delivery, answer)
            await self._record_answer(claim, answer, claim.age + self._monotonic() - began)
        except Exception:
            self._logger.exception(
                "delivery_record_failed",
                task_id=claim.delivery.task_id,
                reporter=hosted.name,
                delivery=claim.delivery.id,
            )
            await asyncio.sleep(_STORE_PAUSE)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def _record_answer(self, claim: DeliveryClaim, answer: Answer, age: float) -> None:
        number = f"attempt {claim.delivery.attempt} by {claim.delivery.reporter}"
        match answer:
            case Delivered(detail):
                await self._store.ack(claim.lease)
                await self._log(
                    claim,
                    ("info", "callback_attempt", f"{number}: delivered"),
                    ("info", "callback_delivered", detail),
                )
            case Retry(why) if age < claim.max_age:
                after = self._delay(answer, claim.delivery.attempt, claim.max_age - age)
                await self._store.retry(claim.lease, after, why)
                await self._log(claim, ("warning", "callback_attempt", f"{number}: {why}; again in {after:.1f} s"))
            case Retry(why) | Refused(why):
                reason = why if isinstance(answer, Refused) else f"older than {claim.max_age:g} s; the last time: {why}"
                await self._store.dead_letter(claim.lease, reason)
                await self._log(
                    claim, ("warning", "callback_attempt", f"{number}: {why}"), ("error", "callback_given_up", reason)
                )

    def _delay(self, answer: Retry, attempt_number: int, left: float) -> float:
        """Seconds to the next attempt: as the reporter says, else with full jitter; at most ``left``."""
        after = self._backoff.delay(attempt_number) if answer.after is None else max(SHORTEST_PAUSE, answer.after)
        return min(after, left)

    def _update_blocked(self, delivery: Delivery, answer: Answer) -> None:
        key = (delivery.reporter, delivery.callback.url if delivery.callback else None)
        if isinstance(answer, Retry) and answer.blocked:
            if key not in self._blocked:
                self._logger.warning("deliveries_blocked", reporter=delivery.reporter, why=answer.why)
            self._blocked[key] = (answer.why, self._monotonic())
        elif isinstance(answer, Delivered):
            self._blocked.pop(key, None)

    async def _log(self, claim: DeliveryClaim, *lines: tuple[str, str, str]) -> None:
        delivery = claim.delivery
        now = datetime.now(UTC)
        entries = [LogEntry(time=now, level=level, event=event, detail=detail) for level, event, detail in lines]
        try:
            await self._store.append_log(delivery.task_id, entries)
        except Exception:
            self._logger.exception("execution_log_failed", task_id=delivery.task_id)
        level, event, detail = lines[-1]
        write = self._logger.info if level == "info" else self._logger.warning
        write(event, task_id=delivery.task_id, reporter=delivery.reporter, delivery=delivery.id, detail=detail)

    def _wants(self, hosted: HostedReporter, callback: Callback | None) -> bool:
        if hosted.settings is None or not _accepts_format(hosted, callback):
            return False
        wants = partial(hosted.spec.wants, hosted.context, hosted.settings, callback)
        return self._call_plugin(hosted, wants, default=True)  # a faulty plugin must not lose a result

    def _max_age(self, hosted: HostedReporter) -> float:
        return self._call_plugin(hosted, partial(_max_age_of, hosted), default=DEFAULT_MAX_AGE)

    def _call_plugin(self, hosted: HostedReporter, function: Callable[[], T], *, default: T) -> T:
        """What the plugin's function returns, or ``default`` if it raises."""
        try:
            return function()
        except (Exception, SystemExit) as fault:  # noqa: BLE001  # a plugin may raise anything
            trace = traceback_of(fault, hidden=secrets_of(hosted.settings))
            self._logger.error("reporter_function_failed", plugin=hosted.plugin, reporter=hosted.name, exception=trace)
            return default


def _problems_with(hosted: HostedReporter, callback: Callback) -> Sequence[Problem]:
    problems: list[object] = list(hosted.spec.check_callback(hosted.context, hosted.settings, callback))
    if any(not isinstance(problem, Problem) for problem in problems):
        raise TypeError("check_callback: expected Problem records")
    return cast("list[Problem]", problems)


def _max_age_of(hosted: HostedReporter) -> float:
    age = float(hosted.spec.max_age(hosted.settings))
    if not math.isfinite(age):
        raise ValueError("max_age: expected seconds")
    return age


def _accepts_format(hosted: HostedReporter, callback: Callback | None) -> bool:
    wanted = callback.format if callback is not None else "candy"
    return not hosted.spec.formats or wanted in hosted.spec.formats
