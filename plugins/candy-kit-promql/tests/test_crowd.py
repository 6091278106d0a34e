"""Many questions in one request, and what happens where that does not go well: on a server that can be made to."""

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
from candy_kit_promql.batch import MARK
from candy_kit_promql.crowd import BATCH_SECONDS
from candy_testbed import task_run

PART = re.compile(r'label_replace\(([a-z_0-9]+),"(candy_item_[0-9a-f]{8})","(\d+)","",""\)')
BUILD = {"version": "3.1.0", "revision": "abc", "goVersion": "go1.23"}


@define
class Backend:
    """Says what it is, and has for every name one series whose value is the name's number, unless told otherwise."""

    build: dict[str, str] | None = Factory(lambda: dict(BUILD))
    features: str = ""
    empty: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    hangs: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    big: tuple[str, ...] = ()
    more: Callable[[list[str]], dict[str, Any] | None] = lambda names: None
    asked: list[list[str]] = Factory(list)
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
        parts = PART.findall(query)
        names = [name for name, _, _ in parts] or [query]
        self.asked.append(names)
        if set(names) & set(self.hangs):
            await asyncio.sleep(60)
        if found := self.more(names):
            await peer.answer(found)
        elif set(names) & set(self.refused):
            body = {"status": "error", "errorType": "execution", "error": f"no such thing among {len(names)}"}
            await peer.answer(body, status="422 Unprocessable Entity")
        else:
            marked = [(name, {mark: number}) for name, mark, number in parts] or [(query, {})]
            await peer.answer(self.answer(marked))

    def answer(self, marked: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
        vector: list[dict[str, Any]] = [
            {
                "metric": {"__name__": name, "instance": name + "x" * 3_000_000 * (name in self.big)} | mark,
                "value": [1, name[1:]],
            }
            for name, mark in marked
            if name not in self.empty
        ]
        stats = {"samples": {"totalQueryableSamples": len(vector)}}
        body: dict[str, Any] = {
            "status": "success",
            "data": {"resultType": "vector", "result": vector, "stats": stats},
        }
        if {name for name, _ in marked} & set(self.warned):
            body["warnings"] = ["a shard is away"]
        return body


@define
class Asked:
    """What came of a task's items, by their query, and how long it took."""

    outcomes: dict[str, Outcome]
    seconds: dict[str, float]


async def task(url: str, names: list[str], dialect: Dialect = PROMETHEUS, **settings: Any) -> Asked:
    """Ask in calls as the core makes them, of no more than one call a key."""
    found = Asked({}, {})
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


def right(found: Asked, names: list[str]) -> None:
    for name in names:
        outcome = found.outcomes[name]
        assert (outcome.status, outcome.reason, outcome.value) == (ItemStatus.NORMAL, Reason.OK, name[1:])
        assert outcome.details == f"Query: {name}\nResult Type: vector"


async def test_fifty_questions_are_one_request(serve: Any) -> None:
    backend = Backend()
    server = await serve(backend)
    found = await task(server.url, numbered(120))
    right(found, numbered(120))
    assert sorted(map(len, backend.asked)) == [20, 50, 50]


async def test_what_is_asked_twice_is_asked_once(serve: Any) -> None:
    backend = Backend()
    server = await serve(backend)
    right(await task(server.url, ["m1", "m2", "m1", "m1"]), ["m1", "m2"])
    assert backend.asked == [["m1", "m2"]]


@pytest.mark.parametrize("size", ["0", "1"])
async def test_a_setting_turns_it_off(serve: Any, size: str) -> None:
    backend = Backend()
    server = await serve(backend)
    right(await task(server.url, numbered(5), batch_size=size), numbered(5))
    assert sorted(backend.asked) == [[name] for name in numbered(5)]
    assert not any("buildinfo" in request.line for request in server.requests)


async def test_a_long_query_is_sent_in_pieces_that_every_server_takes(serve: Any) -> None:
    backend = Backend()
    server = await serve(backend)
    names = [f"m{number}" + "0" * 1000 for number in range(1, 30)]
    found = await task(server.url, names)
    assert {outcome.value for outcome in found.outcomes.values()} == {name[1:] for name in names}
    assert all(len(request.body) < 16 * 1024 for request in server.requests)
    assert len(backend.asked) == 3


async def test_a_refused_batch_is_halved_until_the_guilty_one_stands_alone(serve: Any) -> None:
    backend = Backend(refused=("m7",))
    server = await serve(backend)
    found = await task(server.url, numbered(32))
    guilty = found.outcomes.pop("m7")
    right(found, [name for name in numbered(32) if name != "m7"])
    assert (guilty.status, guilty.reason) == (ItemStatus.FAILED, Reason.QUERY_REJECTED)
    assert guilty.details == "Query: m7\nError: no such thing among 1"
    assert len(backend.asked) == 11


async def test_an_empty_part_is_asked_alone_for_the_servers_own_counts(serve: Any) -> None:
    backend = Backend(empty=("m3",))
    server = await serve(backend)
    found = await task(server.url, numbered(10))
    empty = found.outcomes.pop("m3")
    assert (empty.status, empty.reason) == (ItemStatus.WARNING, Reason.SERIES_ABSENT)
    right(found, [name for name in numbered(10) if name != "m3"])
    assert backend.asked[1:] == [["m3"]]


async def test_warnings_are_the_warned_questions_alone(serve: Any) -> None:
    backend = Backend(warned=("m5",))
    server = await serve(backend)
    found = await task(server.url, numbered(8))
    warned = found.outcomes.pop("m5")
    assert (warned.status, warned.reason) == (ItemStatus.WARNING, Reason.PARTIAL_RESPONSE)
    right(found, [name for name in numbered(8) if name != "m5"])


async def test_a_heavy_question_holds_up_nobody_for_longer_than_the_bound(serve: Any) -> None:
    backend = Backend(hangs=("m5",))
    server = await serve(backend)
    found = await task(server.url, numbered(40), timeout="2.5")
    heavy, waited = found.outcomes.pop("m5"), found.seconds.pop("m5")
    assert (heavy.reason, waited > 2.5) == (Reason.TIMEOUT, True)
    right(found, [name for name in numbered(40) if name != "m5"])
    assert BATCH_SECONDS <= max(found.seconds.values()) < BATCH_SECONDS + 1


async def test_after_that_the_datasource_is_asked_one_by_one_for_a_while(serve: Any) -> None:
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
    assert backend.asked[0] == ["m5", "m6"]
    assert sorted(backend.asked[1:]) == [["m5"], ["m6"], ["m7"], ["m8"]]


async def test_an_answer_that_is_too_large_together_is_read_one_by_one(serve: Any) -> None:
    backend = Backend(big=("m1", "m2"))
    server = await serve(backend)
    found = await task(server.url, numbered(4))
    assert {name: outcome.value for name, outcome in found.outcomes.items()} == {name: name[1:] for name in numbered(4)}


async def test_refused_credentials_are_everybodys_failure_and_told_once(serve: Any) -> None:
    known = 0

    async def behave(peer: Any) -> None:
        nonlocal known
        if "buildinfo" in peer.request.line:
            await peer.answer({"status": "success", "data": BUILD})
        else:
            known += 1
            await peer.answer("who are you?", status="401 Unauthorized")

    server = await serve(behave)
    found = await task(server.url, numbered(20))
    assert {outcome.reason for outcome in found.outcomes.values()} == {Reason.AUTH_FAILED}
    assert len(found.outcomes) == 20
    assert known == 1


@pytest.mark.parametrize(
    "data",
    [
        {"resultType": "scalar", "result": [1, "5"]},
        {"resultType": "vector", "result": [{"metric": {"instance": "a"}, "value": [1, "5"]}]},
        {"resultType": "vector", "result": [{"metric": {"MARK": "99"}, "value": [1, "5"]}]},
        {"resultType": "vector", "result": [{"metric": {"MARK": "-1"}, "value": [1, "5"]}]},
        {"resultType": "vector", "result": [{"metric": {"MARK": "0"}, "value": [1, "five"]}]},
        {"resultType": "vector", "result": [{"metric": {"MARK": 0}, "value": [1, "5"]}]},
        {"resultType": "vector", "result": 5},
    ],
)
async def test_an_answer_that_makes_no_sense_together_is_asked_for_alone(serve: Any, data: dict[str, Any]) -> None:
    body = json.loads(json.dumps({"status": "success", "data": data}).replace("MARK", MARK))
    backend = Backend(more=lambda names: body if len(names) > 1 else None)
    server = await serve(backend)
    right(await task(server.url, numbered(5)), numbered(5))


@pytest.mark.parametrize(
    ("build", "features", "joined"),
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
async def test_only_a_prometheus_that_keeps_native_histograms_is_asked_many_at_once(
    serve: Any, build: dict[str, str] | None, features: str, joined: bool
) -> None:
    """``label_replace`` of 2.42 makes a 0 of a native histogram."""
    backend = Backend(build=build, features=features)
    server = await serve(backend)
    right(await task(server.url, numbered(6)), numbered(6))
    assert (len(backend.asked) == 1) is joined
    assert sum("buildinfo" in request.line for request in server.requests) == 1


async def test_a_caller_that_goes_away_in_the_middle_leaves_nothing_running(serve: Any) -> None:
    backend = Backend(hangs=("m1",), empty=("m0",))
    server = await serve(backend)
    before = asyncio.all_tasks()
    async with open_executor(
        plugin_context("prometheus"), params_reader.read({"url": server.url}, MetricSettings), PROMETHEUS
    ) as executor:
        items = [Item(index=n, id=n, name="", params=MetricParams(query=name)) for n, name in enumerate(numbered(3))]
        answers = executor.run_batch(items, task_run())
        assert (await anext(answers))[0] in (0, 2)
        await cast("AsyncGenerator[Any, None]", answers).aclose()
        left = {each for each in asyncio.all_tasks() - before if "candy_kit_promql" in repr(each)}
        assert left == set()
