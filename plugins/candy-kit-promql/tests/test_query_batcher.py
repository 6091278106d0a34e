"""Many queries in one request, and what happens when that fails: against a scripted server."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast
from urllib.parse import parse_qs

import pytest
from attrs import Factory, define

from candy_core import Item, ItemStatus, Outcome, Reason, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_promql import PROMETHEUS, Dialect, MetricParams, MetricSettings, batch_key, open_executor
from candy_kit_promql.batch import LABEL
from candy_kit_promql.query_batcher import BATCH_SECONDS
from candy_testbed import task_run

OPERAND = re.compile(r'label_replace\(([a-z_0-9]+),"(candy_item_[0-9a-f]{8})","(\d+)","",""\)')
BUILD = {"version": "3.1.0", "revision": "abc", "goVersion": "go1.23"}


@define
class Backend:
    """A Prometheus with one series for every name, whose value is the name's number, but for the names listed here."""

    build: dict[str, str] | None = Factory(lambda: dict(BUILD))
    features: str = ""
    empty: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    hangs: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    big: tuple[str, ...] = ()
    more: Callable[[list[str]], dict[str, Any] | None] = lambda names: None
    queries: list[list[str]] = Factory(list)
    """The names in each query, in the order of the requests."""

    async def __call__(self, peer: Any) -> None:
        if "buildinfo" in peer.request.line:
            if self.build is None:
                await peer.answer("not here", status="404 Not Found")
            else:
                await peer.answer({"status": "success", "data": self.build})
            return
        if "flags" in peer.request.line:
            await peer.answer({"status": "success", "data": {"enable-feature": self.features}})
            return
        [query] = parse_qs(peer.request.body.decode())["query"]
        operands = OPERAND.findall(query)
        names = [name for name, _, _ in operands] or [query]
        self.queries.append(names)
        if set(names) & set(self.hangs):
            await asyncio.sleep(60)
        if found := self.more(names):
            await peer.answer(found)
        elif set(names) & set(self.rejected):
            body = {"status": "error", "errorType": "execution", "error": f"no such thing among {len(names)}"}
            await peer.answer(body, status="422 Unprocessable Entity")
        else:
            labeled = [(name, {label: number}) for name, label, number in operands] or [(query, {})]
            await peer.answer(self.answer(labeled))

    def answer(self, labeled: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
        vector: list[dict[str, Any]] = [
            {
                "metric": {"__name__": name, "instance": name + "x" * 3_000_000 * (name in self.big)} | label,
                "value": [1, name[1:]],
            }
            for name, label in labeled
            if name not in self.empty
        ]
        stats = {"samples": {"totalQueryableSamples": len(vector)}}
        body: dict[str, Any] = {
            "status": "success",
            "data": {"resultType": "vector", "result": vector, "stats": stats},
        }
        if {name for name, _ in labeled} & set(self.warned):
            body["warnings"] = ["a shard is away"]
        return body


@define
class TaskRun:
    """The outcomes of a task's items by their query, and the seconds until each."""

    outcomes: dict[str, Outcome]
    seconds: dict[str, float]


async def run_task(url: str, names: list[str], dialect: Dialect = PROMETHEUS, **settings: Any) -> TaskRun:
    """Run items in calls as the core makes them, one call for each key."""
    found = TaskRun({}, {})
    run = task_run()
    began = time.monotonic()
    calls: dict[object, list[Item[MetricParams]]] = {}
    for index, name in enumerate(names):
        params = params_reader.read({"query": name, "threshold": "1e6"}, MetricParams)
        calls.setdefault(batch_key(params), []).append(Item(index=index, id=index, name="", params=params))
    async with open_executor(
        plugin_context("prometheus"), params_reader.read({"url": url, **settings}, MetricSettings), dialect
    ) as executor:

        async def call(items: list[Item[MetricParams]]) -> None:
            async for index, outcome in executor.run_batch(items, run):
                assert names[index] not in found.outcomes or names.count(names[index]) > 1
                found.outcomes[names[index]] = outcome
                found.seconds[names[index]] = time.monotonic() - began

        await asyncio.gather(*map(call, calls.values()))
    return found


def numbered(count: int) -> list[str]:
    return [f"m{number}" for number in range(count)]


def check_outcomes(found: TaskRun, names: list[str]) -> None:
    for name in names:
        outcome = found.outcomes[name]
        assert (outcome.status, outcome.reason, outcome.value) == (ItemStatus.NORMAL, Reason.OK, name[1:])
        assert outcome.details == f"Query: {name}\nResult Type: vector"


async def test_fifty_queries_are_one_request(serve: Any) -> None:
    backend = Backend()
    server = await serve(backend)
    found = await run_task(server.url, numbered(120))
    check_outcomes(found, numbered(120))
    assert sorted(map(len, backend.queries)) == [20, 50, 50]


async def test_a_repeated_query_is_sent_once(serve: Any) -> None:
    backend = Backend()
    server = await serve(backend)
    check_outcomes(await run_task(server.url, ["m1", "m2", "m1", "m1"]), ["m1", "m2"])
    assert backend.queries == [["m1", "m2"]]


@pytest.mark.parametrize("size", ["0", "1"])
async def test_a_setting_disables_batches(serve: Any, size: str) -> None:
    backend = Backend()
    server = await serve(backend)
    check_outcomes(await run_task(server.url, numbered(5), batch_size=size), numbered(5))
    assert sorted(backend.queries) == [[name] for name in numbered(5)]
    assert not any("buildinfo" in request.line for request in server.requests)


async def test_long_queries_are_sent_in_batches_that_every_server_accepts(serve: Any) -> None:
    backend = Backend()
    server = await serve(backend)
    names = [f"m{number}" + "0" * 1000 for number in range(1, 30)]
    found = await run_task(server.url, names)
    assert {outcome.value for outcome in found.outcomes.values()} == {name[1:] for name in names}
    assert all(len(request.body) < 16 * 1024 for request in server.requests)
    assert len(backend.queries) == 3


async def test_a_rejected_batch_is_halved_until_the_cause_is_on_its_own(serve: Any) -> None:
    backend = Backend(rejected=("m7",))
    server = await serve(backend)
    found = await run_task(server.url, numbered(32))
    rejected = found.outcomes.pop("m7")
    check_outcomes(found, [name for name in numbered(32) if name != "m7"])
    assert (rejected.status, rejected.reason) == (ItemStatus.FAILED, Reason.QUERY_REJECTED)
    assert rejected.details == "Query: m7\nError: no such thing among 1"
    assert len(backend.queries) == 11


async def test_a_query_without_a_result_is_sent_individually_for_the_servers_own_counts(serve: Any) -> None:
    backend = Backend(empty=("m3",))
    server = await serve(backend)
    found = await run_task(server.url, numbered(10))
    empty = found.outcomes.pop("m3")
    assert (empty.status, empty.reason) == (ItemStatus.WARNING, Reason.SERIES_ABSENT)
    check_outcomes(found, [name for name in numbered(10) if name != "m3"])
    assert backend.queries[1:] == [["m3"]]


async def test_warnings_concern_only_the_query_that_causes_them(serve: Any) -> None:
    backend = Backend(warned=("m5",))
    server = await serve(backend)
    found = await run_task(server.url, numbered(8))
    warned = found.outcomes.pop("m5")
    assert (warned.status, warned.reason) == (ItemStatus.WARNING, Reason.PARTIAL_RESPONSE)
    check_outcomes(found, [name for name in numbered(8) if name != "m5"])


async def test_a_slow_query_delays_no_other_for_longer_than_the_bound(serve: Any) -> None:
    backend = Backend(hangs=("m5",))
    server = await serve(backend)
    found = await run_task(server.url, numbered(40), timeout="8")
    slow, waited = found.outcomes.pop("m5"), found.seconds.pop("m5")
    assert (slow.reason, waited > 8) == (Reason.TIMEOUT, True)
    check_outcomes(found, [name for name in numbered(40) if name != "m5"])
    assert BATCH_SECONDS <= max(found.seconds.values()) < waited


async def test_after_that_the_datasource_gets_no_batches_for_a_while(serve: Any) -> None:
    backend = Backend(hangs=("m5",))
    server = await serve(backend)
    settings = params_reader.read({"url": server.url, "timeout": "1.5"}, MetricSettings)
    async with open_executor(plugin_context("prometheus"), settings, PROMETHEUS) as executor:
        for names in (["m5", "m6"], ["m7", "m8"]):
            items = [
                Item(index=index, id=index, name="", params=MetricParams(query=name))
                for index, name in enumerate(names)
            ]
            assert len([pair async for pair in executor.run_batch(items, task_run())]) == 2
    assert backend.queries[0] == ["m5", "m6"]
    assert sorted(backend.queries[1:]) == [["m5"], ["m6"], ["m7"], ["m8"]]


async def test_the_queries_of_a_batch_whose_answer_is_too_large_are_sent_individually(serve: Any) -> None:
    backend = Backend(big=("m1", "m2"))
    server = await serve(backend)
    found = await run_task(server.url, numbered(4))
    assert {name: outcome.value for name, outcome in found.outcomes.items()} == {name: name[1:] for name in numbered(4)}


async def test_rejected_credentials_fail_all_items_after_one_request(serve: Any) -> None:
    requests = 0

    async def behave(peer: Any) -> None:
        nonlocal requests
        if "buildinfo" in peer.request.line:
            await peer.answer({"status": "success", "data": BUILD})
        else:
            requests += 1
            await peer.answer("who are you?", status="401 Unauthorized")

    server = await serve(behave)
    found = await run_task(server.url, numbered(20))
    assert {outcome.reason for outcome in found.outcomes.values()} == {Reason.AUTH_FAILED}
    assert len(found.outcomes) == 20
    assert requests == 1


@pytest.mark.parametrize(
    "data",
    [
        {"resultType": "scalar", "result": [1, "5"]},
        {"resultType": "vector", "result": [{"metric": {"instance": "a"}, "value": [1, "5"]}]},
        {"resultType": "vector", "result": [{"metric": {"LABEL": "99"}, "value": [1, "5"]}]},
        {"resultType": "vector", "result": [{"metric": {"LABEL": "-1"}, "value": [1, "5"]}]},
        {"resultType": "vector", "result": [{"metric": {"LABEL": "0"}, "value": [1, "five"]}]},
        {"resultType": "vector", "result": [{"metric": {"LABEL": 0}, "value": [1, "5"]}]},
        {"resultType": "vector", "result": 5},
    ],
)
async def test_the_queries_of_a_batch_with_an_unusable_answer_are_sent_individually(
    serve: Any, data: dict[str, Any]
) -> None:
    body = json.loads(json.dumps({"status": "success", "data": data}).replace("LABEL", LABEL))
    backend = Backend(more=lambda names: body if len(names) > 1 else None)
    server = await serve(backend)
    check_outcomes(await run_task(server.url, numbered(5)), numbered(5))


@pytest.mark.parametrize(
    ("build", "features", "batched"),
    [
        (BUILD, "native-histograms", True),
        ({**BUILD, "version": "2.53.1"}, "", True),
        ({**BUILD, "version": "2.39.0"}, "", True),
        ({**BUILD, "version": "2.42.0+ds"}, "", True),
        ({**BUILD, "version": "2.42.0+ds"}, "exemplar-storage,native-histograms", False),
        ({**BUILD, "version": "2.15.2", "application": "Grafana Mimir"}, "", False),
        ({**BUILD, "version": "0.37.2"}, "", False),  # Thanos
        ({**BUILD, "version": "1.8.2"}, "", False),
        ({**BUILD, "version": "HEAD"}, "", False),
        ({"version": "2.24.0"}, "", False),  # VictoriaMetrics
        ({}, "", False),
        (None, "", False),
    ],
)
async def test_only_a_prometheus_that_keeps_native_histograms_gets_batches(
    serve: Any, build: dict[str, str] | None, features: str, batched: bool
) -> None:
    """``label_replace`` of 2.42 turns a native histogram into a 0."""
    backend = Backend(build=build, features=features)
    server = await serve(backend)
    check_outcomes(await run_task(server.url, numbered(6)), numbered(6))
    assert (len(backend.queries) == 1) is batched
    assert sum("buildinfo" in request.line for request in server.requests) == 1


async def test_a_caller_that_stops_early_leaves_nothing_running(serve: Any) -> None:
    backend = Backend(hangs=("m1",), empty=("m0",))
    server = await serve(backend)
    before = asyncio.all_tasks()
    async with open_executor(
        plugin_context("prometheus"), params_reader.read({"url": server.url}, MetricSettings), PROMETHEUS
    ) as executor:
        items = [Item(index=n, id=n, name="", params=MetricParams(query=name)) for n, name in enumerate(numbered(3))]
        results = executor.run_batch(items, task_run())
        assert (await anext(results))[0] in (0, 2)
        await cast("AsyncGenerator[Any, None]", results).aclose()
        left = {each for each in asyncio.all_tasks() - before if "candy_kit_promql" in repr(each)}
        assert left == set()
