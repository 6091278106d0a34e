"""``started`` and ``progress``: sent once, and they may be lost (contract section 4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from candy_core import Callback, Delivered, Delivery, Event, Retry
from candy_core.delivery.announcements import MAX_WAITING
from candy_core.task_store import Progress, TaskState, TaskStatus

Start = Callable[..., Awaitable[Any]]
Make = Callable[..., Any]

ALL = Callback(events=(Event.ENDED, Event.STARTED, Event.PROGRESS))


def state(task_id: str = "task-1", done: int = 0) -> TaskState:
    return TaskState(
        task_id=task_id,
        status=TaskStatus.RUNNING,
        message="",
        start_time=None,
        end_time=None,
        priority=5,
        progress=Progress(total=10, done=done),
    )


async def test_events_carry_the_status_object_and_only_those_asked_for(post: Start, recorder: Make) -> None:
    """Contract §4: '`ended` always, and `started`, `progress` on request'."""
    one = recorder("one")
    office = await post(one.spec())
    office.service.announce(Event.STARTED, state(), None)
    office.service.announce(Event.STARTED, state(), Callback())
    office.service.announce(Event.PROGRESS, state(), Callback(events=(Event.ENDED, Event.STARTED)))
    office.service.announce(Event.STARTED, state("task-2"), ALL)
    await office.until(lambda: len(one.seen) == 1)
    (delivery,) = one.seen
    assert (delivery.event, delivery.task_id) == (Event.STARTED, "task-2")
    assert json.loads(delivery.document)["progress"]["total"] == 10
    assert (await office.store.counts()).received == 0


async def test_an_event_that_fails_is_lost_and_counted(post: Start, recorder: Make) -> None:
    one = recorder("one", lambda _: Retry("no"))
    office = await post(one.spec())
    office.service.announce(Event.STARTED, state(), ALL)
    await office.until(lambda: office.counted("candy_events_lost_total") == 1)
    assert len(one.seen) == 1


async def test_the_queue_of_events_is_bounded(post: Start, recorder: Make) -> None:
    one = recorder("one")
    office = await post(one.spec(), run=False)
    for number in range(MAX_WAITING + 5):
        office.service.announce(Event.STARTED, state(f"task-{number}"), ALL)
    assert office.counted("candy_events_lost_total") == 5


async def test_a_newer_progress_takes_the_place_of_the_one_that_waits(post: Start, recorder: Make) -> None:
    gate = asyncio.Event()

    async def wait_at_the_gate() -> Delivered:
        await gate.wait()
        return Delivered()

    one = recorder("one", lambda _: wait_at_the_gate())
    office = await post(one.spec())
    office.service.announce(Event.STARTED, state(), ALL)
    await office.until(lambda: one.seen)
    for done in range(1, 6):
        office.service.announce(Event.PROGRESS, state(done=done), ALL)
    gate.set()
    await office.until(lambda: len(one.seen) == 2)
    assert json.loads(one.seen[1].document)["progress"]["done"] == 5
    assert office.counted("candy_events_lost_total") == 4


async def test_no_event_comes_after_the_end_of_its_task(post: Start, recorder: Make) -> None:
    gate = asyncio.Event()
    finished: list[Event] = []

    async def script(delivery: Delivery) -> Delivered:
        if delivery.event is Event.STARTED:
            await gate.wait()
        finished.append(delivery.event)
        return Delivered()

    one = recorder("one", script)
    office = await post(one.spec())
    office.service.announce(Event.STARTED, state(), ALL)
    await office.until(lambda: one.seen)
    office.service.announce(Event.PROGRESS, state(), ALL)
    await office.end_task(callback=ALL)
    await office.end_task("task-2", callback=ALL)
    await office.until_waiting(1)  # the other task does not wait for this one's event
    gate.set()
    await office.until_waiting()
    assert finished == [Event.ENDED, Event.STARTED, Event.ENDED]


async def test_flush_sends_the_events_that_wait(post: Start, recorder: Make) -> None:
    one = recorder("one")
    office = await post(one.spec())
    for number in range(20):
        office.service.announce(Event.STARTED, state(f"task-{number}"), ALL)
    async with asyncio.timeout(5):
        await office.service.flush(10)
    assert len(one.seen) == 20
