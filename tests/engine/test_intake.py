"""What is taken in, what is refused, and what is only one item's affair (contract section 2, "Intake")."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from candy_core.codec import loads
from candy_core.engine.intake import Intake, canonical
from candy_core.errors import Conflict, Draining, Invalid, QueueFull
from candy_core.model.task import Json
from candy_testbed import eventually

from .conftest import ALL, Bench, Stage, item, registry_of


async def problems(bench: Bench, body: Json, *, strict: bool = False) -> dict[str, str]:
    """Every problem that a submission is refused for, by path."""
    with pytest.raises(Invalid) as caught:
        await bench.engine.submit(body, ALL, strict=strict)
    return {problem.path: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], "$"),
        ({}, "$.items"),
        ({"items": []}, "$.items"),
        ({"items": {}}, "$.items"),
        ({"items": ["x"]}, "$.items[0]"),
        ({"items": [{"type": "test"}]}, "$.items[0].id"),
        ({"items": [{"id": True, "type": "test"}]}, "$.items[0].id"),
        ({"items": [{"id": 1.5, "type": "test"}]}, "$.items[0].id"),
        ({"items": [{"id": "", "type": "test"}]}, "$.items[0].id"),
        ({"items": [{"id": "x" * 129, "type": "test"}]}, "$.items[0].id"),
        ({"items": [{"id": 2**63, "type": "test"}]}, "$.items[0].id"),
        ({"items": [{"id": 1, "type": 5}]}, "$.items[0].type"),
        ({"items": [{"id": 1}]}, "$.items[0].type"),
        ({"items": [{"id": 1, "type": "test", "params": []}]}, "$.items[0].params"),
        ({"items": [{"id": 1, "type": "test", "parms": {}}]}, "$.items[0].parms"),
        ({"items": [item(1)], "prioritty": 1}, "$.prioritty"),
        ({"items": [item(1)], "priority": 10}, "$.priority"),
        ({"items": [item(1)], "priority": "5"}, "$.priority"),
        ({"items": [item(1)], "timeout": 0}, "$.timeout"),
        ({"items": [item(1)], "timeout": 86401}, "$.timeout"),
        ({"items": [item(1)], "timeout": True}, "$.timeout"),
        ({"items": [item(1)], "locale": "de"}, "$.locale"),
        ({"items": [item(1)], "task_id": "../x"}, "$.task_id"),
        ({"items": [item(1)], "task_id": ".."}, "$.task_id"),
        ({"items": [item(1)], "task_id": ""}, "$.task_id"),
        ({"items": [item(1)], "task_id": "x" * 129}, "$.task_id"),
        ({"items": [item(1)], "task_id": "a\n"}, "$.task_id"),
        ({"items": [{**item(1), "retries": -1}]}, "$.items[0].retries"),  # type: ignore[dict-item]  # an object
        ({"items": [{"id": index, "type": "test"} for index in range(10_001)]}, "$.items"),
    ],
)
async def test_a_request_of_the_wrong_shape_is_refused_as_a_whole(bench: Bench, body: Json, path: str) -> None:
    """Contract §2: "A request whose own shape is wrong is 422 as a whole"."""
    assert list(await problems(bench, body)) == [path]
    assert (await bench.engine.counts()).pending == 0


async def test_every_problem_is_listed_with_its_path(bench: Bench) -> None:
    """Contract §1: "errors lists every problem found"."""
    found = await problems(
        bench,
        {"items": [item(1), {"id": 2, "type": 3, "x": 1}, {**item(3), "timeout": -1}], "priority": 11},  # type: ignore[dict-item]  # an object
    )
    assert set(found) == {"$.items[1].type", "$.items[1].x", "$.items[2].timeout", "$.priority"}


async def test_a_repeated_id_is_named_with_its_first_use(bench: Bench) -> None:
    found = await problems(bench, {"items": [item(1), item("1"), item(1)]})
    assert list(found) == ["$.items[2].id"]
    assert "$.items[0]" in found["$.items[2].id"]


async def test_an_unknown_type_is_that_items_affair_and_lists_the_installed_ones(bench: Bench) -> None:
    """Contract §2: "That item's result is failed, and the others run: unknown_type lists the installed types"."""
    document = await bench.run(item(1, "prometeus"), item(2), item(3, "Test"))
    assert [result["reason"] for result in document["results"]] == ["unknown_type", "ok", "ok"]
    assert all(name in document["results"][0]["message"] for name in ("batch", "slow", "test"))


async def test_bad_params_are_that_items_affair_and_every_problem_is_told(bench: Bench) -> None:
    """Contract §2: "bad_params every problem"."""
    document = await bench.run(item(1, act="fly", valeu="1"), item(2))
    first = document["results"][0]
    assert first["reason"] == "bad_params"
    assert "$.items[0].params.act" in first["message"]
    assert "valeu" in first["message"]
    assert "value" in first["message"], "the nearest right one"
    assert document["results"][1]["reason"] == "ok"


async def test_strict_handling_refuses_the_whole_task_with_every_problem(bench: Bench) -> None:
    """Contract §2: "With Prefer: handling=strict the whole task is refused with 422 and every problem listed"."""
    body: Json = {"items": [item(1, "nobody"), item(2, act="fly"), item(3)]}
    assert set(await problems(bench, body, strict=True)) == {"$.items[0].type", "$.items[1].params.act"}


async def test_a_dry_run_tells_of_every_item_and_runs_none(bench: Bench) -> None:
    """Contract §2: dry_run "{item_id, ok, reason, message}, nothing run"."""
    checks = await bench.engine.dry_run({"items": [item(1), item(2, "nobody"), item(3, act="fly")]}, ALL)
    assert [(check.item_id, check.ok, check.reason) for check in checks] == [
        (1, True, "ok"),
        (2, False, "unknown_type"),
        (3, False, "bad_params"),
    ]
    assert bench.stage.entered == []


async def test_an_item_that_needs_more_than_the_key_has_is_not_allowed_and_the_others_run(bench: Bench) -> None:
    """Contract §1: "without it such an *item* is not_allowed"; "decides scopes at intake and keeps the verdict"."""
    body: Json = {"items": [item(1, secret_scope=True), item(2)]}
    submitted = await bench.engine.submit(body, frozenset({"tasks:write"}), strict=False)
    document = await bench.result(submitted.state.task_id)
    assert [result["reason"] for result in document["results"]] == ["not_allowed", "ok"]
    assert "tasks:command" in document["results"][0]["message"]
    allowed = await bench.engine.submit(body, frozenset({"tasks:command"}), strict=False)
    document = await bench.result(allowed.state.task_id)
    assert [result["reason"] for result in document["results"]] == ["ok", "ok"]


async def test_params_may_come_as_strings(bench: Bench) -> None:
    """Contract §1: "strings are read as such there ("80", "true")"."""
    document = await bench.run(item(1, act="unreachable", fail_first="1", secret_scope="false", retries=1))
    assert document["results"][0]["reason"] == "ok"


async def test_the_same_body_again_is_the_same_task_and_another_is_a_conflict(bench: Bench) -> None:
    """Contract §2: "The same task_id with a body that is equal as a JSON value: 200 and the present status"."""
    one: Json = {"task_id": "t", "items": [item(1)], "timeout": 300}
    again: Json = {"timeout": 300.0, "items": [item(1)], "task_id": "t"}
    assert (await bench.engine.submit(one, ALL, strict=False)).created
    await bench.result("t")
    answered = await bench.engine.submit(again, ALL, strict=False)
    assert not answered.created
    assert answered.state.status == "completed"
    assert bench.stage.attempts[1] == 1
    with pytest.raises(Conflict):
        await bench.engine.submit({"task_id": "t", "items": [item(1)]}, ALL, strict=False)


async def test_a_full_queue_is_told(bench: Bench) -> None:
    bench.limits["tasks"] = 1
    held = await bench.submit(item("held", act="hang"))
    await eventually(lambda: bench.stage.entered == ["held"])
    for index in range(50):
        await bench.submit(item(index))
    with pytest.raises(QueueFull):
        await bench.submit(item("one too many"))
    bench.stage.gate.set()
    await bench.result(held)
    assert b'candy_tasks_refused_total{code="queue_full"} 1.0' in bench.metrics.text()


async def test_a_draining_agent_takes_no_more_tasks_cancels_what_waits_and_lets_running_ones_end(bench: Bench) -> None:
    """Contract §6: "no new tasks, running ones get CANDY_SHUTDOWN_GRACE …, the rest canceled"."""
    bench.limits["tasks"] = 2
    ends = await bench.submit(item("ends", act="hang"))
    stays = await bench.submit(item("stays", act="ignore_cancel"))
    await eventually(lambda: len(bench.stage.entered) == 2)
    waits = await bench.submit(item("waits"))
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(bench.engine.drain(60))
        await eventually(lambda: bench.engine.draining)
        with pytest.raises(Draining):
            await bench.submit(item("late"))
        assert (await bench.result(waits))["status"] == "canceled"
        bench.stage.gate.set()
        await draining
    assert (await bench.result(ends))["results"][0]["reason"] == "ok"
    assert (await bench.result(stays))["status"] in ("completed", "canceled")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_bodies_that_are_equal_as_json_values_have_one_canonical_text(value: Any) -> None:
    def otherwise(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: otherwise(value[key]) for key in reversed(value)}
        if isinstance(value, list):
            return [otherwise(inner) for inner in value]
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
            return float(value)
        return value

    assert canonical(value) == canonical(otherwise(value))


@given(JSON, JSON)
def test_bodies_that_differ_as_json_values_have_differentcanonicals(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    if same or one == other:
        return  # 1 and True are equal to Python alone
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda index: {"id": index, "type": "test"}, id="small items"),
        pytest.param(lambda index: {"id": index, "type": "nope"}, id="unknown types"),
        pytest.param(lambda index: {"id": index, "type": "test", "params": {"z": 1}}, id="bad params"),
        pytest.param(lambda index: {"id": str(index), "type": "test", "params": {"x": [[]] * 20}}, id="nested"),
        pytest.param(lambda index: {"id": index, "type": "test", "params": {"x": ["é", "b"] * 20}}, id="short words"),
        pytest.param(lambda index: {"id": index, "type": "test", "params": {"x": "y" * 5000}}, id="long texts"),
    ],
)
def test_a_task_that_waits_is_weighed_at_what_it_takes_in_memory(make: Callable[[int], Json]) -> None:
    """Contract §7: "the process stays below 400 MB", whatever waits in the queue."""
    announced = registry_of(Stage()).executors
    hosted: Any = {name: SimpleNamespace(plugin=one.plugin, spec=one.spec) for name, one in announced.items()}
    intake = Intake(hosted, lambda callback: (), structlog.get_logger())
    text = json.dumps({"items": [make(index) for index in range(1000)]})
    intake.plan(loads(text), ALL, strict=False)  # what is made once is made now
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        task = intake.plan(loads(text), ALL, strict=False)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.7 * taken < task.size < 4 * taken


async def test_a_secret_is_not_in_the_log_of_a_plugin_that_raises_at_intake(bench: Bench) -> None:
    """Contract §3: a password is "never logged nor echoed"."""
    body: Json = {"items": [item(1, scopes_fault=True, password="geheimes-wort")]}
    with capture_logs() as logs:
        (check,) = await bench.engine.dry_run(body, frozenset({"tasks:write"}))
    assert check.reason == "plugin_error"
    (line,) = [line for line in logs if line["event"] == "plugin_error"]
    assert "a fault of the plugin" in line["exception"]
    assert "geheimes-wort" not in str(line)
