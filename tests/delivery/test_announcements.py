"""``started`` and ``progress`` events: sent at most once (contract section 4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from candy_core import Callback, Delivered, Delivery, Event, Retry
from candy_core.delivery.event_queue import MAX_QUEUED
from candy_core.task_store import Progress, TaskState, TaskStatus
from candy_testbed import eventually

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


async def test_only_requested_events_are_sent_with_the_status_object(start: Start, recorder: Make) -> None:
    """Contract §4: '`ended` always, and `started`, `progress` on request'."""
    one = recorder("one")
    running = await start(one.spec())
    running.service.announce(Event.STARTED, state(), None)
    running.service.announce(Event.STARTED, state(), Callback())
    running.service.announce(Event.PROGRESS, state(), Callback(events=(Event.ENDED, Event.STARTED)))
    running.service.announce(Event.STARTED, state("task-2"), ALL)
    await eventually(lambda: len(one.seen) == 1)
    (delivery,) = one.seen
    assert (delivery.event, delivery.task_id) == (Event.STARTED, "task-2")
    assert json.loads(delivery.document)["progress"]["total"] == 10
    assert (await running.store.counts()).received == 0


async def test_an_event_that_fails_is_lost_and_counted(start: Start, recorder: Make) -> None:
    one = recorder("one", lambda _: Retry("no"))
    running = await start(one.spec())
    running.service.announce(Event.STARTED, state(), ALL)
    await eventually(lambda: running.counted("candy_events_lost_total") == 1)
    assert len(one.seen) == 1


async def test_the_event_queue_has_a_maximum_length(start: Start, recorder: Make) -> None:
    one = recorder("one")
    running = await start(one.spec(), run=False)
    for number in range(MAX_QUEUED + 5):
        running.service.announce(Event.STARTED, state(f"task-{number}"), ALL)
    assert running.counted("candy_events_lost_total") == 5


async def test_a_newer_progress_event_replaces_the_queued_one(start: Start, recorder: Make) -> None:
    gate = asyncio.Event()

    async def deliver_later() -> Delivered:
        await gate.wait()
        return Delivered()

    one = recorder("one", lambda _: deliver_later())
    running = await start(one.spec())
    running.service.announce(Event.STARTED, state(), ALL)
    await eventually(lambda: one.seen)
    for done in range(1, 6):
        running.service.announce(Event.PROGRESS, state(done=done), ALL)
    gate.set()
    await eventually(lambda: len(one.seen) == 2)
    assert json.loads(one.seen[1].document)["progress"]["done"] == 5
    assert running.counted("candy_events_lost_total") == 4


async def test_no_event_is_sent_after_the_tasks_result(start: Start, recorder: Make) -> None:
    gate = asyncio.Event()
    finished: list[Event] = []

    async def script(delivery: Delivery) -> Delivered:
        if delivery.event is Event.STARTED:
            await gate.wait()
        finished.append(delivery.event)
        return Delivered()

    one = recorder("one", script)
    running = await start(one.spec())
    running.service.announce(Event.STARTED, state(), ALL)
    await eventually(lambda: one.seen)
    running.service.announce(Event.PROGRESS, state(), ALL)
    await running.end_task(callback=ALL)
    await running.end_task("task-2", callback=ALL)
    await running.until_waiting(1)  # the other task does not wait for this task's event
    gate.set()
    await running.until_waiting()
    assert finished == [Event.ENDED, Event.STARTED, Event.ENDED]


async def test_flush_sends_queued_events(start: Start, recorder: Make) -> None:
    one = recorder("one")
    running = await start(one.spec())
    for number in range(20):
        running.service.announce(Event.STARTED, state(f"task-{number}"), ALL)
    await running.service.flush(3600)
    assert len(one.seen) == 20
