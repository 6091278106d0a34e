"""How tasks and their items run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from candy_core.model.task import TaskState, TaskStatus
from candy_core.ports.task_store import Renewal, StoreLimits, Until
from candy_core.store import MemoryStore
from candy_testbed import eventually

from .conftest import Bench, engine_at_work, item


def by_id(document: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {result["item_id"]: result for result in document["results"]}


async def test_results_come_in_the_order_of_the_items_whoever_is_ready_first(bench: Bench) -> None:
    """Contract §2: "in the order of the request's items"."""
    task_id = await bench.submit(item(1, act="hang"), item("two"), item(3))
    await eventually(lambda: len(bench.stage.entered) >= 2)
    bench.stage.gate.set()
    document = await bench.result(task_id)
    assert [result["item_id"] for result in document["results"]] == [1, "two", 3]
    assert document["status"] == "completed"
    assert document["message"] == "Task completed"


@pytest.mark.parametrize("act", ["raise", "exit", "cancel_self", "junk", "no_json", "no_text"])
async def test_a_plugin_that_misbehaves_costs_its_own_item_alone(bench: Bench, act: str) -> None:
    document = await bench.run(item(1), item(2, act=act), item(3))
    assert [result["reason"] for result in document["results"]] == ["ok", "plugin_error", "ok"]
    assert "hunter2" not in str(document)
    assert document["message"] == "Task completed with some failures"


@pytest.mark.parametrize("kind", ["test", "batch"])
async def test_a_secret_of_an_item_is_not_in_the_log_of_a_plugin_that_raises(bench: Bench, kind: str) -> None:
    """Contract §3: a password is "never logged nor echoed"."""
    with capture_logs() as logs:
        await bench.run(item(1, kind, act="raise", password="geheimes-wort"))
    (line,) = [line for line in logs if line["event"] == "plugin_error"]
    assert "a fault of the plugin" in line["exception"]
    assert "geheimes-wort" not in str(line)


@pytest.mark.parametrize("kind", ["test", "batch"])
async def test_a_setting_that_a_plugin_lacks_is_told_in_its_own_words(bench: Bench, kind: str) -> None:
    """Contract §7: "a plugin without settings is `active`, its items `not_configured`"."""
    (result,) = (await bench.run(item(1, kind, act="not_configured")))["results"]
    assert (result["reason"], result["message"]) == ("not_configured", "set plugins.scripted.url")


async def test_a_key_with_every_scope_also_has_those_that_only_a_plugin_knows(bench: Bench) -> None:
    """Contract §1: "… or `*`"."""
    (result,) = (await bench.run(item(1, own_scope=True)))["results"]
    assert result["reason"] == "ok"


async def test_warnings_are_told_in_the_tasks_message(bench: Bench) -> None:
    """Contract §2: "Task completed with some warnings"."""
    document = await bench.run(item(1), item(2, status="critical"))
    assert document["message"] == "Task completed with some warnings"


async def test_an_item_that_takes_too_long_is_cut_off_and_the_others_are_not_delayed(bench: Bench) -> None:
    """Contract §2: item "timeout (from the item's own start…)"."""
    document = await bench.run(item(1, act="hang", timeout=1), item(2))
    results = by_id(document)
    assert results[1]["reason"] == "timeout"
    assert results[1]["duration"] >= 1000
    assert results[2]["reason"] == "ok"
    assert results[2]["duration"] < results[1]["duration"]
    log = await bench.store.read_log(document["task_id"])
    assert log is not None
    assert [entry.item_id for entry in log.entries if entry.event == "item_ended"] == [2, 1]
    assert document["status"] == "completed"


async def test_a_task_cut_off_by_its_timeout_is_failed_and_keeps_what_has_finished(bench: Bench) -> None:
    """Contract §2: "one cut off by its timeout … is failed. What has finished by then is always kept and reported"."""
    items = [item(index, "slow", act="hang" if index else "answer") for index in range(6)]
    document = await bench.run(*items, timeout=2)
    assert document["status"] == "failed"
    assert "timed out" in document["message"]
    assert [result["reason"] for result in document["results"]] == ["ok"] + ["timeout"] * 5


async def test_an_items_timeout_is_at_most_the_tasks(bench: Bench) -> None:
    """Contract §2: "at most the task's"."""
    document = await bench.run(item(1, act="hang", timeout=50), timeout=0.1)
    assert by_id(document)[1]["reason"] == "timeout"
    assert document["status"] == "failed"


async def test_a_task_that_waits_is_cancelled_without_having_run(bench: Bench) -> None:
    bench.limits["tasks"] = 1
    blocker = await bench.submit(item(1, act="hang"))
    await eventually(lambda: bench.stage.entered == [1])
    waiting = await bench.submit(item(2))
    state, success = await bench.engine.cancel(waiting)
    assert success
    assert state.status is TaskStatus.CANCELED
    document = await bench.result(waiting)
    assert [result["reason"] for result in document["results"]] == ["canceled"]
    assert document["start_time"] is None
    assert 2 not in bench.stage.entered
    bench.stage.gate.set()
    await bench.result(blocker)


async def test_cancelling_a_running_task_returns_once_its_items_have_stopped(bench: Bench) -> None:
    """Contract §2: "once the task has really stopped"; §3: `terminated` is told by the result."""
    task_id = await bench.submit(item(1), item(2, act="clean_up"), item(3, act="hang"))
    await eventually(lambda: {2, 3} <= set(bench.stage.entered))
    state, success = await bench.engine.cancel(task_id)
    assert success
    assert bench.stage.cleaned == [2]
    assert state.progress.done == 3
    results = by_id(await bench.result(task_id))
    assert results[1]["reason"] == "ok", "what has finished is kept"
    assert results[2]["reason"] == "canceled", "the executor does not decide why it was stopped"
    assert (results[2]["details"], results[2]["stats"]) == ("killed 3", {"terminated": "verified"})
    assert results[3]["reason"] == "canceled"


async def test_an_executor_that_cleans_up_after_a_timeout_has_its_details_kept(bench: Bench) -> None:
    result = by_id(await bench.run(item(1, act="clean_up", timeout=0.1)))[1]
    assert (result["status"], result["reason"]) == ("failed", "timeout")
    assert result["stats"] == {"terminated": "verified"}


async def test_an_item_that_ignores_its_cancellation_is_abandoned_and_its_slot_is_free(bench: Bench) -> None:
    document = await bench.run(*(item(index, "slow", act="ignore_cancel", timeout=0.05) for index in range(2)))
    assert {result["reason"] for result in document["results"]} == {"timeout"}
    assert by_id(await bench.run(item(9, "slow")))[9]["reason"] == "ok"
    assert b'candy_items_abandoned_total{type="slow"} 2.0' in bench.metrics.text()


async def test_a_cancel_succeeds_only_once_an_item_that_ignores_it_has_stopped(bench: Bench) -> None:
    """Contract §2: DELETE answers ""success":true, once the task has really stopped; after 30 s 200 with
    "success":false"."""
    tasks = [await bench.submit(item(index, act="ignore_cancel")) for index in range(2)]
    await eventually(lambda: {0, 1} <= set(bench.stage.entered))
    state, success = await bench.engine.cancel(tasks[0], timeout=0.5)
    assert (state.status, success) == ("canceled", False)
    cancelling = asyncio.ensure_future(bench.engine.cancel(tasks[1]))
    await bench.store.wait(tasks[1], Until.ENDED, 10)
    assert not cancelling.done()
    bench.stage.gate.set()
    state, success = await cancelling
    assert (state.status, success) == ("canceled", True)


async def test_no_more_calls_run_at_once_than_the_limits_allow(bench: Bench) -> None:
    bench.limits["calls"] = 5
    task_id = await bench.submit(
        *(item(f"t{index}", act="hang") for index in range(9)),
        *(item(f"s{index}", "slow", act="hang") for index in range(9)),
    )
    await eventually(lambda: len(bench.stage.entered) >= 2)
    bench.stage.gate.set()
    await bench.result(task_id)
    assert bench.stage.most["slow"] <= 2
    assert bench.stage.most["all"] <= 5


async def test_a_slow_executor_does_not_hold_up_the_others(bench: Bench) -> None:
    held = await bench.submit(*(item(index, "slow", act="hang") for index in range(6)))
    await eventually(lambda: len(bench.stage.entered) == 2)
    assert by_id(await bench.run(item("fast")))["fast"]["reason"] == "ok"
    bench.stage.gate.set()
    await bench.result(held)


async def test_a_raised_limit_lets_waiting_items_in_at_once(bench: Bench) -> None:
    bench.limits["tasks"] = 1
    held = await bench.submit(item(1, act="hang"))
    await eventually(lambda: bench.stage.entered == [1])
    waiting = await bench.submit(item(2))
    bench.limits["tasks"] = 4
    bench.engine.limits_changed()
    await bench.result(waiting)
    bench.stage.gate.set()
    await bench.result(held)


async def test_a_raised_limit_of_an_executor_lets_in_items_of_a_task_that_runs(bench: Bench) -> None:
    """Contract §6: concurrency limits are "applied at once"."""
    bench.limits["calls_per_executor"] = 1
    task_id = await bench.submit(*(item(index, act="hang") for index in range(5)))
    await eventually(lambda: bench.stage.running["test"] == 1)
    bench.limits["calls_per_executor"] = 4
    bench.engine.limits_changed()
    await eventually(lambda: bench.stage.running["test"] == 4)
    bench.stage.gate.set()
    await bench.result(task_id)
    assert bench.stage.most["test"] == 4


async def test_urgent_tasks_go_first(bench: Bench) -> None:
    """Contract §2: "priority | 5 | 0–9, 9 first"."""
    bench.limits["tasks"] = 1
    held = await bench.submit(item("held", act="hang"))
    await eventually(lambda: bench.stage.entered == ["held"])
    tasks = [await bench.submit(item(f"p{priority}"), priority=priority) for priority in (0, 5, 9)]
    bench.stage.gate.set()
    for task_id in (held, *tasks):
        await bench.result(task_id)
    assert bench.stage.entered == ["held", "p9", "p5", "p0"]


async def test_only_unreachable_and_timeout_are_tried_again(bench: Bench) -> None:
    """Contract §2: "only for unreachable and timeout, within the item's timeout"."""
    document = await bench.run(
        item(1, act="unreachable", fail_first=2, retries=3),
        item(2, act="unreachable", retries=1),
        item(3, act="raise", retries=5),
        item(4, act="unreachable"),
    )
    results = by_id(document)
    assert [results[index]["reason"] for index in (1, 2, 3, 4)] == ["ok", "unreachable", "plugin_error", "unreachable"]
    assert [bench.stage.attempts[index] for index in (1, 2, 3, 4)] == [3, 2, 1, 1]
    log = await bench.store.read_log(document["task_id"])
    assert log is not None
    assert [entry.item_id for entry in log.entries if entry.event == "item_retry"].count(1) == 2


async def test_retries_end_with_the_items_time(bench: Bench) -> None:
    """It has ended before its retries were used up: they would have taken minutes."""
    document = await bench.run(item(1, act="unreachable", retries=10, timeout=0.6))
    assert by_id(document)[1]["reason"] == "unreachable"
    assert bench.stage.attempts[1] < 6


async def test_all_items_are_asked_about_one_instant(bench: Bench) -> None:
    """Contract §2: "All metric queries of one task are evaluated at one instant … A retry … keep that instant"."""
    await bench.run(item(1), item(2, act="unreachable", fail_first=1, retries=1), item(3), item(4, "batch", batch="k"))
    assert len(bench.stage.times) == 1


async def test_progress_tells_of_what_runs(bench: Bench) -> None:
    task_id = await bench.submit(item(1), item(2, act="hang"))
    await eventually(lambda: set(bench.stage.entered) == {1, 2})

    async def one_done() -> bool:
        state = await bench.store.read(task_id)
        return state is not None and (state.progress.done, state.progress.running) == (1, 1)

    await eventually(one_done)
    assert [result["item_id"] for result in (await bench.so_far(task_id))["results"]] == [1]
    bench.stage.gate.set()
    await bench.result(task_id)


async def test_an_item_that_was_refused_was_never_running(bench: Bench) -> None:
    task_id = await bench.submit(item(1, "nobody"), item(2, act="hang"))
    await eventually(lambda: bench.stage.entered == [2])
    state = await bench.store.read(task_id)
    assert state is not None
    assert (state.progress.done, state.progress.running) == (1, 1)


async def test_a_cancel_between_two_attempts_counts_the_item_as_ended(bench: Bench) -> None:
    task_id = await bench.submit(item(1, act="unreachable", retries=10))
    await eventually(lambda: bench.stage.attempts[1] >= 2)
    await bench.engine.cancel(task_id)
    (result,) = (await bench.so_far(task_id))["results"]
    assert result["reason"] == "canceled"
    assert b'candy_items_total{status="failed",type="test"} 1.0' in bench.metrics.text()


async def test_items_whose_lease_was_lost_are_stopped_and_run_again_by_whoever_holds_them() -> None:
    class Forgetful(MemoryStore):
        lost = False

        async def wait(self, task_id: str, until: Until, timeout: float) -> TaskState | None:
            return await super().wait(task_id, until, min(timeout, 0.01) if until is Until.CANCELED else timeout)

        async def renew(self, lease: str, seconds: float) -> Renewal:
            return Renewal(held=False) if self.lost else await super().renew(lease, seconds)

    store = Forgetful(StoreLimits())
    async with engine_at_work(store=store) as bench:
        task_id = await bench.submit(item(1, act="clean_up", fail_first=1))
        await eventually(lambda: bench.stage.entered == [1])
        store.lost = True
        await eventually(lambda: bench.stage.cleaned == [1])
        store.lost = False
        assert (await bench.result(task_id))["task_id"] == task_id


async def test_an_item_that_runs_is_counted_before_any_has_ended(bench: Bench) -> None:
    task_id = await bench.submit(item(1, act="hang"))
    await eventually(lambda: bench.stage.entered == [1])
    state = await bench.store.read(task_id)
    assert state is not None
    assert state.progress.running == 1
    bench.stage.gate.set()
    assert (await bench.result(task_id))["status"] == "completed"


async def test_the_log_tells_of_every_step(bench: Bench) -> None:
    """Contract §2: "intake, start, end and retry of the task and of each item"."""
    document = await bench.run(item(1), item(2, "nobody"))
    log = await bench.store.read_log(document["task_id"])
    assert log is not None
    events = [(entry.event, entry.item_id) for entry in log.entries]
    assert events[0] == ("task_accepted", None)
    assert {("task_started", None), ("item_started", 1), ("item_ended", 1), ("item_ended", 2)} <= set(events)
    assert events[-1] == ("task_ended", None)


class TestBatches:
    async def test_items_of_one_key_share_calls_up_to_the_bound(self) -> None:
        async with engine_at_work() as bench:
            keys = ["a", "a", "b", "a", "a", None, "b", None]
            document = await bench.run(*(item(index, "batch", batch=key) for index, key in enumerate(keys)))
            assert {result["reason"] for result in document["results"]} == {"ok"}
            assert sorted(bench.stage.batches, key=str) == [[0, 1, 3], [2, 6], [4], [5], [7]]

    async def test_a_late_item_holds_up_none_of_its_key_that_has_more_time(self, bench: Bench) -> None:
        """Contract §2: item "timeout (from the item's own start…)": only items of one timeout share a call."""
        document = await bench.run(
            item(1, "batch", batch="k", act="hang", timeout=0.1),
            item(2, "batch", batch="k"),
            timeout=60,
        )
        assert [result["reason"] for result in document["results"]] == ["timeout", "ok"]
        assert document["status"] == "completed"

    async def test_what_a_batch_has_answered_by_its_deadline_is_kept(self) -> None:
        """Contract §2: "What has finished by then is always kept and reported"."""
        async with engine_at_work() as bench:
            acts = ["answer", "hang", "answer"]
            document = await bench.run(
                *(item(index, "batch", batch="k", act=act, timeout=2) for index, act in enumerate(acts))
            )
            assert bench.stage.batches == [[0, 1, 2]]
            assert [result["reason"] for result in document["results"]] == ["ok", "timeout", "timeout"]
            assert document["status"] == "completed"

    async def test_a_batch_that_goes_on_after_its_last_answer_is_not_waited_for(self, bench: Bench) -> None:
        document = await bench.run(item(1, "batch", batch="k"), item(2, "batch", batch="k", act="linger"), timeout=60)
        assert [result["status"] for result in document["results"]] == ["normal", "normal"]
        assert document["status"] == "completed"

    async def test_a_batch_that_raises_costs_those_that_were_not_answered_yet(self) -> None:
        async with engine_at_work() as bench:
            document = await bench.run(
                item(1, "batch", batch="k"), item(2, "batch", batch="k", act="raise"), item(3, "batch", batch="k")
            )
            assert [result["reason"] for result in document["results"]] == ["ok", "plugin_error", "plugin_error"]

    async def test_an_item_that_a_batch_forgets_is_told_as_the_plugins_fault(self, bench: Bench) -> None:
        document = await bench.run(item(1, "batch", batch="k"), item(2, "batch", batch="k", act="junk"))
        assert [result["reason"] for result in document["results"]] == ["ok", "plugin_error"]

    async def test_an_index_that_is_none_costs_its_own_batch_alone(self, bench: Bench) -> None:
        """Contract §2: "Every item of the request has exactly one result once the task has ended"."""
        document = await bench.run(item(1, "batch", batch="k", act="no_index"), item(2, "test"), timeout=60)
        assert [result["reason"] for result in document["results"]] == ["plugin_error", "ok"]
        assert document["status"] == "completed"

    async def test_late_items_are_told_at_their_deadline_though_their_call_does_not_end(self) -> None:
        """Contract §2: "retries (… within the item's timeout)": when that is over, there is nothing to wait for."""
        async with engine_at_work(cancel_grace=60) as bench:
            task_id = await bench.submit(
                item(1, "batch", batch="k", act="ignore_cancel", timeout=0.1, retries=3),
                item(2, "batch", batch="k", timeout=0.1),
            )

            async def told() -> bool:
                return [result["reason"] for result in (await bench.so_far(task_id))["results"]] == ["timeout"] * 2

            await eventually(told)
            assert (bench.stage.batches, bench.stage.attempts) == ([[1, 2]], {1: 1})
            assert (await bench.so_far(task_id))["status"] == "running", "the call has not ended"
            bench.stage.gate.set()
            await bench.result(task_id)

    async def test_every_item_of_a_batch_that_ignores_its_cancellation_counts_as_abandoned(self, bench: Bench) -> None:
        await bench.run(*(item(number, "batch", batch="k", act="ignore_cancel") for number in (1, 2)), timeout=0.1)
        assert b'candy_items_abandoned_total{type="batch"} 2.0' in bench.metrics.text()

    async def test_only_those_that_failed_are_asked_again(self) -> None:
        async with engine_at_work() as bench:
            document = await bench.run(
                item(1, "batch", batch="k"), item(2, "batch", batch="k", act="unreachable", fail_first=1, retries=1)
            )
            assert [result["reason"] for result in document["results"]] == ["ok", "ok"]
            assert bench.stage.batches == [[1, 2], [2]]

    async def test_a_cancel_ends_a_batch(self, bench: Bench) -> None:
        task_id = await bench.submit(item(1, "batch", batch="k"), item(2, "batch", batch="k", act="hang"))
        await eventually(lambda: 2 in bench.stage.entered)
        _, success = await bench.engine.cancel(task_id)
        assert success
        assert [result["reason"] for result in (await bench.result(task_id))["results"]] == ["ok", "canceled"]


ACTS = st.sampled_from(["answer", "hang", "raise", "exit", "cancel_self", "junk", "unreachable", "clean_up"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=st.lists(
        st.tuples(ACTS, st.sampled_from(["test", "slow", "batch", "nobody"]), st.sampled_from([None, "a", "b"])),
        min_size=1,
        max_size=12,
    ),
    slice_size=st.integers(1, 12),
    cancel_after=st.none() | st.integers(0, 3),
)
def test_whatever_happens_every_item_has_exactly_one_result_in_its_place(
    items: list[tuple[str, str, str | None]], slice_size: int, cancel_after: int | None
) -> None:
    """Contract §2: "Every item of the request has exactly one result once the task has ended"."""

    async def scenario() -> None:
        async with engine_at_work(slice_size=slice_size, cancel_grace=0.05) as bench:
            task_id = await bench.submit(
                *(
                    item(index, kind, act=act, batch=key, timeout=0.03, retries=index % 2)
                    for index, (act, kind, key) in enumerate(items)
                ),
                timeout=2,
            )
            if cancel_after is not None:
                for _ in range(cancel_after):
                    await asyncio.sleep(0)
                _, success = await bench.engine.cancel(task_id)
                assert success
            document = await bench.result(task_id)
            assert [result["item_id"] for result in document["results"]] == list(range(len(items)))
            state = await bench.store.read(task_id)
            assert state is not None
            progress = state.progress
            assert progress.done == progress.total == len(items)
            assert progress.running == 0
            assert bench.engine._slots.used == 0, "every slot was given back"

    asyncio.run(scenario())
