"""From the store to the reporters (contract section 4)."""

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

Start = Callable[..., Awaitable[Any]]
Make = Callable[..., Any]


async def test_a_result_goes_to_every_reporter_that_wants_it(post: Start, recorder: Make) -> None:
    one, other, third = recorder("one"), recorder("other"), recorder("third")
    office = await post(one.spec(), other.spec(), third.spec(wants=lambda *_: False))
    await office.end_task()
    await office.until_waiting()
    assert [len(each.seen) for each in (one, other, third)] == [1, 1, 0]
    assert one.seen[0].document == await office.store.read_result("task-1")
    assert one.seen[0].id != other.seen[0].id
    assert (await office.store.counts()).delivered == 2


async def test_a_format_chooses_among_the_reporters_that_have_formats(post: Start, recorder: Make) -> None:
    """Contract §4: '`format` `candy` or one that a reporter plugin announces'."""
    candy, events, always = recorder("candy_one"), recorder("events"), recorder("always")
    office = await post(candy.spec(formats=("candy",)), events.spec(formats=("cloudevents", "ce")), always.spec())

    def planned(callback: Callback | None) -> set[str]:
        return {new.reporter for new in office.service.plan("t", callback)}

    assert planned(None) == {"candy_one", "always"}
    assert planned(Callback()) == {"candy_one", "always"}
    assert planned(Callback(format="ce")) == {"events", "always"}
    assert planned(Callback(format="unknown")) == {"always"}


async def test_an_unknown_format_is_a_problem_that_lists_the_known_ones(post: Start, recorder: Make) -> None:
    office = await post(recorder("a").spec(formats=("candy",)), recorder("b").spec(formats=("cloudevents",)))
    (problem,) = office.service.check_callback(Callback(format="xml"))
    assert problem.path == "$.format"
    assert "candy, cloudevents" in problem.message
    assert office.service.check_callback(Callback(format="cloudevents")) == []


async def test_a_reporters_own_problems_with_a_callback_are_told(post: Start, recorder: Make) -> None:
    office = await post(
        recorder("a").spec(formats=("candy",), check_callback=lambda *_: [Problem("$.url", "no")]),
        recorder("b").spec(formats=("other",), check_callback=lambda *_: [Problem("$.url", "not asked")]),
        recorder("c").spec(check_callback=lambda *_: 1 / 0),
    )
    assert office.service.check_callback(Callback()) == [Problem("$.url", "no")]
    assert any(line["event"] == "reporter_fault" for line in office.logs)


async def test_faults_of_a_plugins_functions_cost_no_result(post: Start, recorder: Make) -> None:
    one = recorder("one")

    def quit_it(*_: object) -> bool:
        raise SystemExit(3)

    office = await post(one.spec(wants=quit_it, max_age=lambda _: 1 / 0))
    (new,) = office.service.plan("t", None)
    assert new.max_age == 24 * 3600
    await office.end_task()
    await office.until_waiting()
    assert len(one.seen) == 1


@pytest.mark.parametrize("said", [None, "a word", [None], 1 / 3], ids=["none", "text", "none-in-a-list", "number"])
async def test_a_check_that_gives_no_problems_is_the_plugins_fault_and_not_the_requests(
    post: Start, recorder: Make, said: object
) -> None:
    """Contract §1: 'A client's mistake never yields a 5xx', and a plugin's does not either."""
    office = await post(recorder("a").spec(formats=("candy",), check_callback=lambda *_: said))
    assert office.service.check_callback(Callback()) == []
    assert any(line["event"] == "reporter_fault" for line in office.logs)


@pytest.mark.parametrize("said", ["long", None, float("nan"), float("inf")])
async def test_an_age_that_is_none_is_the_plugins_fault_and_the_default_holds(
    post: Start, recorder: Make, said: object
) -> None:
    """Contract §4: 'all until `plugins.callback.max_age` (24 h)'."""
    office = await post(recorder("a").spec(max_age=lambda _: said))
    (new,) = office.service.plan("t", None)
    assert new.max_age == 24 * 3600
    assert any(line["event"] == "reporter_fault" for line in office.logs)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Delivered, {"detail": None}),
        (Retry, {"why": None}),
        (Retry, {"why": "later", "after": "soon"}),
        (Retry, {"why": "later", "after": float("nan")}),
        (Refused, {"why": None}),
    ],
)
async def test_an_answer_of_the_wrong_kind_is_an_attempt_that_failed(
    post: Start, recorder: Make, answer: Callable[..., Any], said: dict[str, Any]
) -> None:
    """Contract §4: 'Received = delivered + dead-lettered + still waiting, always'."""
    one = recorder("a", lambda delivery: answer(**said) if delivery.attempt == 1 else Delivered("ok"))
    office = await post(one.spec(), uniform=lambda low, high: 0.01)
    await office.end_task()
    await office.until_waiting()
    assert [delivery.attempt for delivery in one.seen] == [1, 2]
    assert (await office.store.counts()).delivered == 1


async def test_a_reporter_with_wrong_settings_is_not_planned_for(post: Start, recorder: Make) -> None:
    def settings(plugin: str, kind: type) -> object:
        if plugin == "broken":
            raise SettingsError("plugins.broken.url: expected a URL")
        return kind()

    office = await post(recorder("broken").spec(formats=("candy",)), recorder("b").spec(), settings=settings)
    assert [new.reporter for new in office.service.plan("t", None)] == ["b"]
    assert office.service.check_callback(Callback())[0].path == "$.format"


async def test_what_fails_is_tried_again_with_growing_pauses_under_the_same_id(post: Start, recorder: Make) -> None:
    """Contract §4: 'tried again with exponential backoff and jitter', '(the same for every attempt)'."""
    one = recorder("one", lambda delivery: Retry("no") if delivery.attempt < 12 else Delivered("at last"))
    office = await post(one.spec(), uniform=lambda least, most: most)
    await office.end_task()
    await office.until_waiting()
    assert len({delivery.id for delivery in one.seen}) == 1
    assert [delivery.attempt for delivery in one.seen] == list(range(1, 13))
    pauses = [after for after, _ in office.store.pauses]
    assert pauses[:5] == [2, 4, 8, 16, 32]
    assert all(later >= earlier for earlier, later in pairwise(pauses))
    assert pauses[-1] == 300


async def test_the_jitter_is_drawn_from_the_whole_range(post: Start, recorder: Make) -> None:
    ranges: list[tuple[float, float]] = []

    def draw(least: float, most: float) -> float:
        ranges.append((least, most))
        return least

    one = recorder("one", lambda delivery: Retry("no") if delivery.attempt < 4 else Delivered())
    office = await post(one.spec(), uniform=draw)
    await office.end_task()
    await office.until_waiting()
    assert ranges == [(1, 2), (1, 4), (1, 8)]


async def test_a_reporters_own_pause_is_kept_to(post: Start, recorder: Make) -> None:
    one = recorder("one", lambda delivery: Retry("busy", after=77) if delivery.attempt == 1 else Delivered())
    office = await post(one.spec())
    await office.end_task()
    await office.until_waiting()
    assert office.store.pauses == [(77, "busy")]


async def test_a_reporter_that_wants_no_pause_gets_a_second(post: Start, recorder: Make) -> None:
    """So that it cannot keep the event loop from everybody else."""
    one = recorder("one", lambda delivery: Retry("busy", after=-5) if delivery.attempt == 1 else Delivered())
    office = await post(one.spec())
    await office.end_task()
    await office.until_waiting()
    assert office.store.pauses == [(1, "busy")]


async def test_what_is_refused_is_a_dead_letter_and_can_be_sent_again(post: Start, recorder: Make) -> None:
    """Contract §2: 'callbacks that were given up, and sending one again'."""
    answers = iter([Refused("answered 404"), Delivered()])
    one = recorder("one", lambda _: next(answers))
    office = await post(one.spec())
    await office.end_task()
    await office.until_waiting()
    (letter,) = (await office.store.dead_letters(limit=10, cursor=None)).deadletters
    assert (letter.reason, letter.attempts, letter.reporter) == ("answered 404", 1, "one")
    await office.store.requeue(letter.id)
    await office.until_waiting()
    assert (await office.store.counts()).delivered == 1
    assert [delivery.id for delivery in one.seen] == [letter.id, letter.id]


async def test_what_is_too_old_is_given_up_after_a_last_attempt(post: Start, recorder: Make) -> None:
    """Contract §4: 'all until `plugins.callback.max_age` (24 h)'."""
    one = recorder("one", lambda _: Retry("no"))
    office = await post(one.spec(max_age=lambda _: 0.2))
    await office.end_task()
    await office.until_waiting()
    (letter,) = (await office.store.dead_letters(limit=10, cursor=None)).deadletters
    assert letter.reason == "older than 0.2 s; the last time: no"
    assert all(after <= 0.2 for after, _ in office.store.pauses)


async def test_the_execution_log_tells_of_every_attempt(post: Start, recorder: Make) -> None:
    """Contract §2: 'intake, start, end and retry of the task and of each item, callback attempts'."""
    answers = iter([Retry("answered 500", after=3), Delivered("answered 204"), Refused("answered 404")])
    one = recorder("one", lambda _: next(answers))
    office = await post(one.spec())
    await office.end_task()
    await office.until_waiting()
    await office.end_task("task-2")
    await office.until_waiting()
    await office.until(lambda: len(office.logs) >= 3)
    assert await office.events() == [
        ("callback_attempt", "attempt 1 by one: answered 500; again in 3.0 s"),
        ("callback_attempt", "attempt 2 by one: delivered"),
        ("callback_delivered", "answered 204"),
    ]
    assert await office.events("task-2") == [
        ("callback_attempt", "attempt 1 by one: answered 404"),
        ("callback_given_up", "answered 404"),
    ]


async def test_a_reporter_that_raises_is_tried_again_and_logged_as_the_plugins_fault(
    post: Start, recorder: Make
) -> None:
    def script(delivery: Delivery) -> Any:
        if delivery.attempt == 1:
            raise RuntimeError("geheim-header and more")
        if delivery.attempt == 2:
            raise SystemExit(1)
        return Delivered() if delivery.attempt > 3 else "what is this"

    one = recorder("one", script)
    office = await post(one.spec())
    await office.end_task(callback=Callback(headers={"Authorization": "geheim-header"}))
    await office.until_waiting()
    assert len(one.seen) == 4
    assert [why for _, why in office.store.pauses][:2] == [
        "the reporter raised RuntimeError",
        "the reporter raised SystemExit",
    ]
    (line,) = [line for line in office.logs if "RuntimeError" in line.get("exception", "")]
    assert line["plugin"] == "one"
    assert "geheim" not in str(office.logs)
    assert office.counted("candy_delivery_attempts_total", reporter="one", answer="fault") == 3


async def test_a_reporter_whose_plugin_is_down_loses_nothing(post: Start, recorder: Make) -> None:
    one, tries = recorder("one"), 0

    @asynccontextmanager
    async def open_late(context: PluginContext, settings: object) -> AsyncIterator[Any]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("not yet")
        yield one

    office = await post(one.spec(open=open_late))
    await office.end_task()
    await office.until_waiting(seconds=20)
    assert len(one.seen) == 1
    assert office.store.pauses[0][1].startswith("the plugin one is down")


async def test_a_slow_reporter_holds_up_no_other(post: Start, recorder: Make) -> None:
    forever = asyncio.Event()
    slow, quick = recorder("slow", lambda _: forever.wait()), recorder("quick")
    office = await post(slow.spec(), quick.spec(), workers=2)
    for number in range(20):
        await office.end_task(f"task-{number}")
    await office.until(lambda: len(quick.seen) == 20)
    assert len(slow.seen) == 2


async def test_an_attempt_is_bounded_in_time(post: Start, recorder: Make) -> None:
    one = recorder("one", lambda delivery: asyncio.sleep(60) if delivery.attempt == 1 else Delivered())
    office = await post(one.spec(), attempt_seconds=0.1)
    await office.end_task()
    await office.until_waiting()
    assert office.store.pauses[0][1] == "the reporter gave no answer within 0.1 s"


async def test_a_delivery_that_ignores_its_cancellation_is_abandoned(post: Start, recorder: Make) -> None:
    """The design allows the same for items: 'abandoned: result, slot freed, counted'."""
    release = asyncio.Event()

    async def stubborn() -> Delivered:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Delivered()

    one = recorder("one", lambda delivery: stubborn() if delivery.attempt == 1 else Delivered())
    office = await post(one.spec(), attempt_seconds=0.05, patience=0.05, workers=1)
    await office.end_task()
    await office.until_waiting()
    assert len(one.seen) == 2
    assert any("abandoned" in line["event"] for line in office.logs)
    release.set()


async def test_blocked_is_shown_until_a_delivery_to_the_same_place_passes(post: Start, recorder: Make) -> None:
    """Contract §4: '401 and 403 every 5 minutes (a key may have been rotated), shown in `/ready`'."""
    good = False

    def script(delivery: Delivery) -> Any:
        if delivery.callback is not None:
            return Delivered()
        return Delivered() if good else Retry("the key was refused with 401", after=300, blocked=True)

    office = await post(recorder("one", script).spec())
    assert office.service.blocked() == {}
    await office.end_task("task-1")
    await office.until(lambda: office.service.blocked() == {"one": "the key was refused with 401"})
    assert office.store.pauses[0][0] == 300
    await office.end_task("task-2", Callback(url="http://elsewhere.example/"))
    await office.until_waiting(1)
    assert office.service.blocked() != {}
    good = True
    await office.until_waiting()
    assert office.service.blocked() == {}


async def test_a_store_that_fails_is_asked_again(post: Start, recorder: Make) -> None:
    class Moody(MemoryStore):
        moods = 2

        async def claim_delivery(self, reporter: str, *, lease: float, wait: float) -> Any:
            if self.moods:
                self.moods -= 1
                raise OSError("the store is away")
            return await super().claim_delivery(reporter, lease=lease, wait=wait)

    one = recorder("one")
    office = await post(one.spec(), store=Moody(StoreLimits()), workers=1)
    await office.end_task()
    await office.until_waiting()
    assert len(one.seen) == 1


async def test_a_delivery_whose_acknowledgement_was_lost_is_made_again_under_its_id(
    post: Start, recorder: Make
) -> None:
    class Forgetful(MemoryStore):
        lost = False

        async def ack(self, lease: str) -> None:
            if not self.lost:
                self.lost = True
                raise OSError("the store is away")
            await super().ack(lease)

    one = recorder("one")
    office = await post(one.spec(), store=Forgetful(StoreLimits()), lease_seconds=0.2)
    await office.end_task()
    await office.until_waiting()
    assert [delivery.id for delivery in one.seen] == [one.seen[0].id] * 2


async def test_flush_sends_what_is_due_and_leaves_what_is_not(post: Start, recorder: Make) -> None:
    one = recorder("one", lambda delivery: Retry("no", after=100) if delivery.task_id == "bad" else Delivered())
    office = await post(one.spec(), run=False, store=MemoryStore(StoreLimits()))
    for number in range(50):
        await office.end_task(f"task-{number}")
    await office.end_task("bad")
    await office.service.flush(10)
    counts = await office.store.counts()
    assert (counts.delivered, counts.waiting, counts.dead) == (50, 1, 0)


async def test_flush_ends_in_time(post: Start, recorder: Make) -> None:
    office = await post(recorder("one", lambda _: asyncio.sleep(60)).spec())
    await office.end_task()
    async with asyncio.timeout(5):
        await office.service.flush(0.2)
    assert (await office.store.counts()).waiting == 1


async def test_flush_waits_for_what_is_under_way(post: Start, recorder: Make) -> None:
    gate = asyncio.Event()

    async def wait_at_the_gate() -> Delivered:
        await gate.wait()
        return Delivered()

    one = recorder("one", lambda _: wait_at_the_gate())
    office = await post(one.spec())
    await office.end_task()
    await office.until(lambda: one.seen)
    async with asyncio.TaskGroup() as group:
        group.create_task(office.service.flush(10))
        await asyncio.sleep(0)
        gate.set()
    assert (await office.store.counts()).delivered == 1


@pytest.mark.parametrize("answer", [Delivered(), Refused("no")])
async def test_received_is_delivered_and_dead_and_waiting_at_every_look(
    post: Start, recorder: Make, answer: Any
) -> None:
    """Contract §4: 'Received = delivered + dead-lettered + still waiting, always'."""
    one = recorder("one", lambda delivery: answer if delivery.attempt > 1 else Retry("no"))
    office = await post(one.spec())
    for number in range(200):
        await office.end_task(f"task-{number}")
        counts = await office.store.counts()
        assert counts.received == counts.delivered + counts.dead + counts.waiting == number + 1
    await office.until_waiting()
