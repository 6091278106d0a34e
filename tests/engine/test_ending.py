"""What ending a task tells beside its result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from candy_core.engine.finisher import SHUTDOWN, TaskFinisher, conclude
from candy_core.engine.intake import Intake
from candy_core.metrics import Metrics
from candy_core.model.task import Locale, Progress, TaskStatus
from candy_core.ports.task_store import Claim, StoreLimits
from candy_core.store.memory_store import MemoryStore

from .conftest import ALL


def claim_of(*, remaining: float = 10.0, canceled: str | None = None) -> Claim:
    return Claim(
        lease="",
        task_id="t",
        evaluation_time=0.0,
        remaining=remaining,
        timeout=60.0,
        locale=Locale.EN,
        callback=None,
        items=(),
        canceled=canceled,
    )


@pytest.mark.parametrize(
    ("progress", "status", "message"),
    [
        (Progress(total=2, done=2, normal=2), TaskStatus.COMPLETED, "Task completed"),
        (Progress(total=2, done=2, normal=1, critical=1), TaskStatus.COMPLETED, "Task completed with some warnings"),
        (Progress(total=2, done=1, normal=1), TaskStatus.FAILED, "Task timed out after 60 s: 1 of 2 items had no turn"),
        (Progress(total=2, done=2, normal=1, failed=1), TaskStatus.FAILED, "Task timed out after 60 s"),
    ],
)
def test_what_has_become_of_a_task_whose_time_is_over(progress: Progress, status: TaskStatus, message: str) -> None:
    """Contract §2: "A task whose items all got their turn is `completed` …; one cut off by its timeout … `failed`"."""
    ending = conclude(claim_of(remaining=-1.0), progress, ())
    assert (ending.status, ending.message) == (status, message)


@pytest.mark.parametrize(
    ("why", "sentence"), [(SHUTDOWN, "Canceled: the agent is shutting down"), ("Task canceled by request", "Canceled")]
)
def test_items_without_a_result_are_told_why_their_task_was_cancelled(why: str, sentence: str) -> None:
    ending = conclude(claim_of(canceled=why, remaining=-1.0), Progress(total=1), ())
    assert (ending.status, ending.message, ending.fill.message) == (TaskStatus.CANCELED, why, sentence)


class BothClocks:
    """A clock whose time of day may be set back while the other goes on."""

    def __init__(self) -> None:
        self.day = datetime(2026, 1, 1, tzinfo=UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.day

    def monotonic(self) -> float:
        return self.seconds


async def test_a_tasks_duration_is_measured_though_the_clock_is_set_back() -> None:
    clock = BothClocks()
    store = MemoryStore(StoreLimits(), clock=clock)
    metrics = Metrics("test")
    log: Any = structlog.get_logger()
    ender = TaskFinisher(store=store, plan=lambda task_id, callback: (), metrics=metrics, clock=clock, logger=log)
    plan = Intake({}, lambda callback: (), log).plan
    await store.submit(plan({"items": [{"id": 1, "type": "none"}]}, ALL, strict=False))
    claim = await store.claim("test", limit=10, lease=30, wait=0)
    assert claim is not None
    clock.day -= timedelta(hours=1)
    clock.seconds += 7
    await store.cancel(claim.task_id, "enough")
    await store.release(claim.lease)
    ending = await store.claim_ending("test", lease=30, wait=0)
    assert ending is not None
    await ender.finish(ending)
    assert b"candy_task_duration_seconds_sum 7.0" in metrics.text()
