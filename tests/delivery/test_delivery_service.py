"""The delivery service (contract section 4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from candy_core import Callback, Delivered, Delivery, PluginContext, Problem, Refused, Retry
from candy_core.errors import SettingsError
from candy_core.store.memory_store import MemoryStore
from candy_core.task_store import StoreLimits
from candy_testbed import eventually

Start = Callable[..., Awaitable[Any]]
Make = Callable[..., Any]


async def test_a_result_goes_to_every_reporter_that_wants_it(start: Start, recorder: Make) -> None:
    one, other, third = recorder("one"), recorder("other"), recorder("third")
    running = await start(one.spec(), other.spec(), third.spec(wants=lambda *_: False))
    await running.end_task()
    await running.until_waiting()
    assert [len(each.seen) for each in (one, other, third)] == [1, 1, 0]
    assert one.seen[0].document == await running.store.read_result("task-1")
    assert one.seen[0].id != other.seen[0].id
    assert (await running.store.counts()).delivered == 2


async def test_a_format_selects_the_reporters_that_have_it(start: Start, recorder: Make) -> None:
    """Contract §4: '`format` `candy` or one that a reporter plugin announces'."""
    candy, events, always = recorder("candy_one"), recorder("events"), recorder("always")
    running = await start(candy.spec(formats=("candy",)), events.spec(formats=("cloudevents", "ce")), always.spec())

    def planned(callback: Callback | None) -> set[str]:
        return {new.reporter for new in running.service.plan("t", callback)}

    assert planned(None) == {"candy_one", "always"}
    assert planned(Callback()) == {"candy_one", "always"}
    assert planned(Callback(format="ce")) == {"events", "always"}
    assert planned(Callback(format="unknown")) == {"always"}


async def test_an_unknown_format_is_a_problem_that_lists_the_known_ones(start: Start, recorder: Make) -> None:
    running = await start(recorder("a").spec(formats=("candy",)), recorder("b").spec(formats=("cloudevents",)))
    (problem,) = running.service.check_callback(Callback(format="xml"))
    assert problem.path == "$.format"
    assert "candy, cloudevents" in problem.message
    assert running.service.check_callback(Callback(format="cloudevents")) == []


async def test_a_reporters_own_problems_with_a_callback_are_returned(start: Start, recorder: Make) -> None:
    running = await start(
        recorder("a").spec(formats=("candy",), check_callback=lambda *_: [Problem("$.url", "no")]),
        recorder("b").spec(formats=("other",), check_callback=lambda *_: [Problem("$.url", "not asked")]),
        recorder("c").spec(check_callback=lambda *_: 1 / 0),
    )
    assert running.service.check_callback(Callback()) == [Problem("$.url", "no")]
    assert any(line["event"] == "reporter_function_failed" for line in running.logs)


async def test_a_faulty_plugin_function_loses_no_result(start: Start, recorder: Make) -> None:
    one = recorder("one")

    def exit_it(*_: object) -> bool:
        raise SystemExit(3)

    running = await start(one.spec(wants=exit_it, max_age=lambda _: 1 / 0))
    (new,) = running.service.plan("t", None)
    assert new.max_age == 24 * 3600
    await running.end_task()
    await running.until_waiting()
    assert len(one.seen) == 1


@pytest.mark.parametrize(
    "returned", [None, "a string", [None], 1 / 3], ids=["none", "text", "none-in-a-list", "number"]
)
async def test_a_check_that_returns_no_problem_records_does_not_reject_the_request(
    start: Start, recorder: Make, returned: object
) -> None:
    """Contract §1: 'A client's mistake never yields a 5xx', and a plugin's does not either."""
    running = await start(recorder("a").spec(formats=("candy",), check_callback=lambda *_: returned))
    assert running.service.check_callback(Callback()) == []
    assert any(line["event"] == "reporter_function_failed" for line in running.logs)


@pytest.mark.parametrize("returned", ["long", None, float("nan"), float("inf")])
async def test_an_invalid_max_age_is_replaced_by_the_default(start: Start, recorder: Make, returned: object) -> None:
    """Contract §4: 'all until `plugins.callback.max_age` (24 h)'."""
    running = await start(recorder("a").spec(max_age=lambda _: returned))
    (new,) = running.service.plan("t", None)
    assert new.max_age == 24 * 3600
    assert any(line["event"] == "reporter_function_failed" for line in running.logs)


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (Delivered, {"detail": None}),
        (Retry, {"why": None}),
        (Retry, {"why": "later", "after": "soon"}),
        (Retry, {"why": "later", "after": float("nan")}),
        (Refused, {"why": None}),
    ],
)
async def test_an_invalid_answer_is_a_failed_attempt(
    start: Start, recorder: Make, answer: Callable[..., Any], fields: dict[str, Any]
) -> None:
    """Contract §4: 'Received = delivered + dead-lettered + still waiting, always'."""
    one = recorder("a", lambda delivery: answer(**fields) if delivery.attempt == 1 else Delivered("ok"))
    running = await start(one.spec(), uniform=lambda low, high: 0.01)
    await running.end_task()
    await running.until_waiting()
    assert [delivery.attempt for delivery in one.seen] == [1, 2]
    assert (await running.store.counts()).delivered == 1


async def test_a_reporter_with_wrong_settings_gets_no_deliveries(start: Start, recorder: Make) -> None:
    def settings(plugin: str, kind: type) -> object:
        if plugin == "broken":
            raise SettingsError("plugins.broken.url: expected a URL")
        return kind()

    running = await start(recorder("broken").spec(formats=("candy",)), recorder("b").spec(), settings=settings)
    assert [new.reporter for new in running.service.plan("t", None)] == ["b"]
    assert running.service.check_callback(Callback())[0].path == "$.format"


async def test_a_failed_delivery_is_retried_with_growing_pauses_and_the_same_id(start: Start, recorder: Make) -> None:
    """Contract §4: 'tried again with exponential backoff and jitter', '(the same for every attempt)'."""
    one = recorder("one", lambda delivery: Retry("no") if delivery.attempt < 12 else Delivered("delivered"))
    running = await start(one.spec(), uniform=lambda least, most: most)
    await running.end_task()
    await running.until_waiting()
    assert len({delivery.id for delivery in one.seen}) == 1
    assert [delivery.attempt for delivery in one.seen] == list(range(1, 13))
    pauses = [after for after, _ in running.store.pauses]
    assert pauses[:5] == [2, 4, 8, 16, 32]
    assert all(later >= earlier for earlier, later in pairwise(pauses))
    assert pauses[-1] == 300


async def test_the_jitter_is_drawn_from_the_whole_range(start: Start, recorder: Make) -> None:
    ranges: list[tuple[float, float]] = []

    def draw(least: float, most: float) -> float:
        ranges.append((least, most))
        return least

    one = recorder("one", lambda delivery: Retry("no") if delivery.attempt < 4 else Delivered())
    running = await start(one.spec(), uniform=draw)
    await running.end_task()
    await running.until_waiting()
    assert ranges == [(1, 2), (1, 4), (1, 8)]


async def test_a_reporters_own_pause_is_used(start: Start, recorder: Make) -> None:
    one = recorder("one", lambda delivery: Retry("busy", after=77) if delivery.attempt == 1 else Delivered())
    running = await start(one.spec())
    await running.end_task()
    await running.until_waiting()
    assert running.store.pauses == [(77, "busy")]


async def test_a_reporters_pause_is_at_least_one_second(start: Start, recorder: Make) -> None:
    """So that it cannot block the event loop."""
    one = recorder("one", lambda delivery: Retry("busy", after=-5) if delivery.attempt == 1 else Delivered())
    running = await start(one.spec())
    await running.end_task()
    await running.until_waiting()
    assert running.store.pauses == [(1, "busy")]


async def test_a_refused_delivery_is_dead_lettered_and_can_be_requeued(start: Start, recorder: Make) -> None:
    """Contract §2: 'callbacks that were given up, and sending one again'."""
    answers = iter([Refused("answered 404"), Delivered()])
    one = recorder("one", lambda _: next(answers))
    running = await start(one.spec())
    await running.end_task()
    await running.until_waiting()
    (dead,) = (await running.store.dead_letters(limit=10, cursor=None)).deadletters
    assert (dead.reason, dead.attempts, dead.reporter) == ("answered 404", 1, "one")
    await running.store.requeue(dead.id)
    await running.until_waiting()
    assert (await running.store.counts()).delivered == 1
    assert [delivery.id for delivery in one.seen] == [dead.id, dead.id]


async def test_a_delivery_past_its_max_age_is_given_up_after_a_last_attempt(start: Start, recorder: Make) -> None:
    """Contract §4: 'all until `plugins.callback.max_age` (24 h)'."""
    one = recorder("one", lambda _: Retry("no"))
    running = await start(one.spec(max_age=lambda _: 0.2))
    await running.end_task()
    await running.until_waiting()
    (dead,) = (await running.store.dead_letters(limit=10, cursor=None)).deadletters
    assert dead.reason == "older than 0.2 s; the last time: no"
    assert all(after <= 0.2 for after, _ in running.store.pauses)


async def test_the_execution_log_has_every_attempt(start: Start, recorder: Make) -> None:
    """Contract §2: 'intake, start, end and retry of the task and of each item, callback attempts'."""
    answers = iter([Retry("answered 500", after=3), Delivered("answered 204"), Refused("answered 404")])
    one = recorder("one", lambda _: next(answers))
    running = await start(one.spec())
    await running.end_task()
    await running.until_waiting()
    await running.end_task("task-2")
    await running.until_waiting()
    await eventually(lambda: len(running.logs) >= 3)
    assert await running.events() == [
        ("callback_attempt", "attempt 1 by one: answered 500; again in 3.0 s"),
        ("callback_attempt", "attempt 2 by one: delivered"),
        ("callback_delivered", "answered 204"),
    ]
    assert await running.events("task-2") == [
        ("callback_attempt", "attempt 1 by one: answered 404"),
        ("callback_given_up", "answered 404"),
    ]


async def test_a_reporter_that_raises_is_retried_and_logged_as_a_plugin_fault(start: Start, recorder: Make) -> None:
    def script(delivery: Delivery) -> Any:
        if delivery.attempt == 1:
            raise RuntimeError("geheim-header and more")
        if delivery.attempt == 2:
            raise SystemExit(1)
        return Delivered() if delivery.attempt > 3 else "not an answer"

    one = recorder("one", script)
    running = await start(one.spec())
    await running.end_task(callback=Callback(headers={"Authorization": "geheim-header"}))
    await running.until_waiting()
    assert len(one.seen) == 4
    assert [why for _, why in running.store.pauses][:2] == [
        "the reporter raised RuntimeError",
        "the reporter raised SystemExit",
    ]
    (line,) = [line for line in running.logs if "RuntimeError" in line.get("exception", "")]
    assert line["plugin"] == "one"
    assert "geheim" not in str(running.logs)
    assert running.counted("candy_delivery_attempts_total", reporter="one", answer="fault") == 3


async def test_deliveries_of_a_reporter_that_is_down_are_kept(start: Start, recorder: Make) -> None:
    one, tries = recorder("one"), 0

    @asynccontextmanager
    async def open_late(context: PluginContext, settings: object) -> AsyncIterator[Any]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("not yet")
        yield one

    running = await start(one.spec(open=open_late))
    await running.end_task()
    await running.until_waiting()
    assert len(one.seen) == 1
    assert running.store.pauses[0][1].startswith("the plugin one is down")


async def test_a_slow_reporter_does_not_delay_another(start: Start, recorder: Make) -> None:
    forever = asyncio.Event()
    slow, quick = recorder("slow", lambda _: forever.wait()), recorder("quick")
    running = await start(slow.spec(), quick.spec(), workers=2)
    for number in range(20):
        await running.end_task(f"task-{number}")
    await eventually(lambda: len(quick.seen) == 20)
    assert len(slow.seen) == 2


async def test_an_attempt_has_a_time_limit(start: Start, recorder: Make) -> None:
    one = recorder("one", lambda delivery: asyncio.sleep(3600) if delivery.attempt == 1 else Delivered())
    running = await start(one.spec(), attempt_seconds=0.1)
    await running.end_task()
    await running.until_waiting()
    assert running.store.pauses[0][1] == "the reporter gave no answer within 0.1 s"


async def test_a_delivery_that_ignores_its_cancellation_is_abandoned(start: Start, recorder: Make) -> None:
    """As with an item: its slot is freed, and the abandoned call is logged."""
    release = asyncio.Event()

    async def ignore_cancellation() -> Delivered:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Delivered()

    one = recorder("one", lambda delivery: ignore_cancellation() if delivery.attempt == 1 else Delivered())
    running = await start(one.spec(), attempt_seconds=0.5, cancel_grace=0.05, workers=1)
    await running.end_task()
    await running.until_waiting()
    assert len(one.seen) == 2
    assert any("abandoned" in line["event"] for line in running.logs)
    release.set()


async def test_blocked_is_shown_until_a_delivery_to_the_same_url_succeeds(start: Start, recorder: Make) -> None:
    """Contract §4: '401 and 403 every 5 minutes (a key may have been rotated), shown in `/ready`'."""
    good = False

    def script(delivery: Delivery) -> Any:
        if delivery.callback is not None:
            return Delivered()
        return Delivered() if good else Retry("the key was refused with 401", after=300, blocked=True)

    running = await start(recorder("one", script).spec())
    assert running.service.blocked() == {}
    await running.end_task("task-1")
    await eventually(lambda: running.service.blocked() == {"one": "the key was refused with 401"})
    assert running.store.pauses[0][0] == 300
    await running.end_task("task-2", Callback(url="http://elsewhere.example/"))
    await running.until_waiting(1)
    assert running.service.blocked() != {}
    good = True
    await running.until_waiting()
    assert running.service.blocked() == {}


async def test_claiming_from_a_failing_store_is_retried(start: Start, recorder: Make) -> None:
    class FailsTwice(MemoryStore):
        failures = 2

        async def claim_delivery(self, reporter: str, *, lease: float, wait: float) -> Any:
            if self.failures:
                self.failures -= 1
                raise OSError("the store is down")
            return await super().claim_delivery(reporter, lease=lease, wait=wait)

    one = recorder("one")
    running = await start(one.spec(), store=FailsTwice(StoreLimits()), workers=1)
    await running.end_task()
    await running.until_waiting()
    assert len(one.seen) == 1


async def test_a_delivery_whose_ack_failed_is_repeated_with_the_same_id(start: Start, recorder: Make) -> None:
    class FailsFirstAck(MemoryStore):
        failed = False

        async def ack(self, lease: str) -> None:
            if not self.failed:
                self.failed = True
                raise OSError("the store is down")
            await super().ack(lease)

    one = recorder("one")
    running = await start(one.spec(), store=FailsFirstAck(StoreLimits()), lease_seconds=2)
    await running.end_task()
    await running.until_waiting()
    assert [delivery.id for delivery in one.seen] == [one.seen[0].id] * 2


async def test_flush_sends_only_due_deliveries(start: Start, recorder: Make) -> None:
    one = recorder("one", lambda delivery: Retry("no", after=100) if delivery.task_id == "bad" else Delivered())
    running = await start(one.spec(), run=False, store=MemoryStore(StoreLimits()))
    for number in range(50):
        await running.end_task(f"task-{number}")
    await running.end_task("bad")
    await running.service.flush(3600)
    counts = await running.store.counts()
    assert (counts.delivered, counts.waiting, counts.dead) == (50, 1, 0)


async def test_flush_ends_in_time(start: Start, recorder: Make) -> None:
    """It returns at all: the attempt that it waits for would take an hour."""
    running = await start(recorder("one", lambda _: asyncio.sleep(3600)).spec(), attempt_seconds=3600)
    await running.end_task()
    await running.service.flush(0.2)
    assert (await running.store.counts()).waiting == 1


async def test_flush_waits_for_deliveries_in_flight(start: Start, recorder: Make) -> None:
    gate = asyncio.Event()

    async def deliver_later() -> Delivered:
        await gate.wait()
        return Delivered()

    one = recorder("one", lambda _: deliver_later())
    running = await start(one.spec())
    await running.end_task()
    await eventually(lambda: one.seen)
    async with asyncio.TaskGroup() as group:
        group.create_task(running.service.flush(3600))
        await asyncio.sleep(0)
        gate.set()
    assert (await running.store.counts()).delivered == 1


@pytest.mark.parametrize("answer", [Delivered(), Refused("no")])
async def test_received_always_equals_delivered_plus_dead_plus_waiting(
    start: Start, recorder: Make, answer: Any
) -> None:
    """Contract §4: 'Received = delivered + dead-lettered + still waiting, always'."""
    one = recorder("one", lambda delivery: answer if delivery.attempt > 1 else Retry("no"))
    running = await start(one.spec())
    for number in range(200):
        await running.end_task(f"task-{number}")
        counts = await running.store.counts()
        assert counts.received == counts.delivered + counts.dead + counts.waiting == number + 1
    await running.until_waiting()
