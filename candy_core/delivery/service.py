"""Delivers results from the store through the reporters: attempts, retries and dead letters (contract section 4).

A delivery is claimed from the store, tried once by its reporter, and then acknowledged, put back or dead-lettered. The
store keeps it until then, so that a result is delivered at least once: a reporter sends the delivery's id along, by
which the receiver recognizes a repetition.
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
from candy_core.delivery.announcements import Announcements
from candy_core.delivery.attempt import HostedReporter, attempt
from candy_core.errors import Problem
from candy_core.faults import secrets_of, traceback_of
from candy_core.hosting.calls import PATIENCE, Calls
from candy_core.metrics import Metrics
from candy_core.model.task import Callback, Event, LogEntry, TaskState
from candy_core.ports.context import Logger
from candy_core.ports.reporter import Answer, Delivered, Delivery, Refused, Retry
from candy_core.ports.task_store import DeliveryClaim, NewDelivery, TaskStore

T = TypeVar("T")

ATTEMPT_SECONDS = 60.0
"""How long one attempt may take before it is cancelled."""
LEASE_SECONDS = 120.0
"""How long a delivery is leased: an attempt, the wait for its cancellation, and the store's own answer fit in."""
SHORTEST_PAUSE = 1.0
"""Seconds between two attempts at least."""
DEFAULT_MAX_AGE = 24 * 3600.0
_CLAIM_WAIT = 30.0
_STORE_PAUSE = 1.0
_FORGET_BLOCKED = 900.0  # a blocked delivery comes again within 5 minutes: one that has not come for 15 is gone


class DeliveryService:
    """Brings results from the store to the reporters, and events past the store.

    ``workers`` is the number of deliveries that one reporter makes at a time; every reporter has workers of its own, so
    that a slow one holds up neither another nor a task. ``uniform`` draws the jitter, ``monotonic`` measures.
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
        patience: float = PATIENCE,
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
        self._calls = Calls(patience)
        self._backoff = Backoff(first=2.0, longest=300.0, shortest=SHORTEST_PAUSE, jitter=(0.0, 1.0), uniform=uniform)
        self._monotonic = monotonic
        self._announcements = {
            name: Announcements(hosted, calls=self._calls, metrics=metrics, logger=logger)
            for name, hosted in self._reporters.items()
        }
        self._blocked: dict[tuple[str, str | None], tuple[str, float]] = {}
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def plan(self, task_id: str, callback: Callback | None) -> tuple[NewDelivery, ...]:
        """Which reporters are to be told the result of a task that ends; pure, without I/O.

        A reporter with formats is planned for the tasks whose ``callback.format`` is one of them, a reporter without
        any for each task; and only where it says that there is somewhere to deliver to.
        """
        return tuple(
            NewDelivery(id=uuid4().hex, reporter=name, callback=callback, max_age=self._max_age(hosted))
            for name, hosted in self._reporters.items()
            if self._wants(hosted, callback)
        )

    def check_callback(self, callback: Callback) -> Sequence[Problem]:
        """Everything wrong with a callback that a task brings, with paths relative to it (``$.url``)."""
        usable = [hosted for hosted in self._reporters.values() if hosted.settings is not None]
        formats = sorted({name for hosted in usable for name in hosted.spec.formats})
        if callback.format not in formats:
            return [Problem("$.format", f"no reporter has this format; known: {', '.join(formats) or 'none'}")]
        problems: list[Problem] = []
        for hosted in usable:
            if _takes(hosted, callback):
                problems += self._ask(hosted, partial(_problems_with, hosted, callback), default=())
        return problems

    def announce(self, event: Event, state: TaskState, callback: Callback | None) -> None:
        """Tell of a state change where a task asked for it: sent once, never blocking, and lost where it cannot be."""
        if callback is None or event not in callback.events or event is Event.ENDED:
            return
        for name, hosted in self._reporters.items():
            if self._wants(hosted, callback):
                self._announcements[name].put(
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
        """The reporters that cannot deliver until somebody acts, and why."""
        since = self._monotonic() - _FORGET_BLOCKED
        self._blocked = {key: value for key, value in self._blocked.items() if value[1] > since}
        return {reporter: why for (reporter, _), (why, _) in self._blocked.items()}

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, hosted in self._reporters.items():
                group.create_task(self._announcements[name].run(), name=f"announce:{name}")
                for number in range(self._workers):
                    group.create_task(self._work(hosted), name=f"deliver:{name}:{number}")

    async def flush(self, seconds: float) -> None:
        """Try everything that is due, and wait for what is under way, for at most ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for hosted in self._reporters.values():
                    for _ in range(self._workers):
                        group.create_task(self._drain(hosted))
                group.create_task(self._announced())
                await self._idle.wait()

    async def _announced(self) -> None:
        for announcements in self._announcements.values():
            await announcements.settled()

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
            self._logger.exception("store_delivery_failed", reporter=hosted.name)
            await asyncio.sleep(_STORE_PAUSE)
            return None

    async def _deliver(self, hosted: HostedReporter, claim: DeliveryClaim) -> None:
        """One attempt, and what follows from its answer. A store that fails leaves the rest to the lease's end."""
        self._under_way += 1
        self._idle.clear()
        try:
            began = self._monotonic()
            await self._announcements[hosted.name].settle(claim.delivery.task_id)
            answer = await attempt(
                hosted,
                claim.delivery,
                seconds=self._attempt_seconds,
                calls=self._calls,
                metrics=self._metrics,
                logger=self._logger,
            )
            self._note_blocked(claim.delivery, answer)
            await self._conclude(claim, answer, claim.age + self._monotonic() - began)
        except Exception:
            self._logger.exception(
                "delivery_outcome_lost",
                task_id=claim.delivery.task_id,
                reporter=hosted.name,
                delivery=claim.delivery.id,
            )
            await asyncio.sleep(_STORE_PAUSE)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _conclude(self, claim: DeliveryClaim, answer: Answer, age: float) -> None:
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
        """Seconds to the next attempt: the reporter's own, else full jitter; never past the last one, at the end."""
        after = self._backoff.delay(attempt_number) if answer.after is None else max(SHORTEST_PAUSE, answer.after)
        return min(after, left)

    def _note_blocked(self, delivery: Delivery, answer: Answer) -> None:
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
        if hosted.settings is None or not _takes(hosted, callback):
            return False
        wants = partial(hosted.spec.wants, hosted.context, hosted.settings, callback)
        return self._ask(hosted, wants, default=True)  # so that a fault of the plugin's does not cost a result

    def _max_age(self, hosted: HostedReporter) -> float:
        return self._ask(hosted, partial(_stated_age, hosted), default=DEFAULT_MAX_AGE)

    def _ask(self, hosted: HostedReporter, question: Callable[[], T], *, default: T) -> T:
        """What a function of the plugin's says; its fault is its own, and costs nobody else anything."""
        try:
            return question()
        except (Exception, SystemExit) as fault:  # noqa: BLE001  # logged: a plugin may raise anything
            trace = traceback_of(fault, hidden=secrets_of(hosted.settings))
            self._logger.error("reporter_fault", plugin=hosted.plugin, reporter=hosted.name, exception=trace)
            return default


def _problems_with(hosted: HostedReporter, callback: Callback) -> Sequence[Problem]:
    problems: list[object] = list(hosted.spec.check_callback(hosted.context, hosted.settings, callback))
    if any(not isinstance(problem, Problem) for problem in problems):
        raise TypeError("check_callback: expected Problem records")
    return cast("list[Problem]", problems)


def _stated_age(hosted: HostedReporter) -> float:
    age = float(hosted.spec.max_age(hosted.settings))
    if not math.isfinite(age):
        raise ValueError("max_age: expected seconds")
    return age


def _takes(hosted: HostedReporter, callback: Callback | None) -> bool:
    wanted = callback.format if callback is not None else "candy"
    return not hosted.spec.formats or wanted in hosted.spec.formats
