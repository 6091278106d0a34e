"""A datasource that hangs fails only its own items, and does not delay those of others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from candy_core import Item, Run, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_promql import PROMETHEUS, MetricExecutor, MetricParams, MetricSettings, batch_key, open_executor
from candy_testbed import eventually, task_run

CONNECTIONS = 4
NEVER = 3600
LARGE = (
    b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"5"]}]}, "more":"'
    + b"x" * 1280 * 1024
    + b'"}'
)


async def hangs(peer: Any) -> None:
    await asyncio.Event().wait()


async def values(executor: MetricExecutor, run: Run, queries: Sequence[str], datasource: str) -> list[str]:
    """The value of each query, run in calls as the core makes them, one for each key."""
    calls: dict[object, list[Item[MetricParams]]] = {}
    for index, query in enumerate(queries):
        params = MetricParams(query=query, datasource=datasource)
        calls.setdefault(batch_key(params), []).append(Item(index=index, id=index, name="", params=params))
    found: dict[int, str] = {}

    async def call(items: list[Item[MetricParams]]) -> None:
        async for index, outcome in executor.run_batch(items, run):
            found[index] = outcome.value

    async with asyncio.TaskGroup() as group:
        for items in calls.values():
            group.create_task(call(items))
    return [found[index] for index in range(len(queries))]


@pytest.mark.parametrize(
    ("pattern", "more"),
    [("vector({})", 1), ("{}", 0)],  # only queries that may be batched need the check of the server
    ids=["batched", "individual"],
)
async def test_a_datasource_answers_while_a_hundred_queries_of_another_hang(
    serve: Any, prometheus: str, pattern: str, more: int
) -> None:
    """``max_connections`` is a bound for each datasource."""
    sick = await serve(hangs)
    settings: dict[str, Any] = {
        "datasources": {"healthy": {"url": prometheus}, "sick": {"url": sick.url, "timeout": NEVER}},
        "max_connections": CONNECTIONS,
    }
    queries = [pattern.format(number) for number in range(100)]
    read = params_reader.read(settings, MetricSettings)
    async with (
        open_executor(plugin_context("prometheus"), read, PROMETHEUS) as executor,
        asyncio.TaskGroup() as group,
    ):
        hanging = group.create_task(values(executor, task_run(seconds=NEVER), queries, "sick"))
        await eventually(lambda: sick.connections == CONNECTIONS + more)
        found = await values(executor, task_run(), queries, "healthy")
        assert found == [str(number) for number in range(100)]
        assert sick.connections == CONNECTIONS + more, (
            "the healthy datasource is done, and the sick one has no more connections than before"
        )
        health = await executor.health()
        assert "datasource sick" in health.detail
        assert "datasource healthy" not in health.detail
        assert not hanging.done()
        hanging.cancel()


async def test_a_large_answer_waits_for_at_most_one_of_another_datasource(serve: Any) -> None:
    sent: list[bytes] = []
    first_ends = asyncio.Event()

    async def slow(peer: Any) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE[:-1])
        sent.append(peer.request.body)
        if b"query=first&" not in peer.request.body:
            await asyncio.Event().wait()
        await first_ends.wait()
        await peer.send(LARGE[-1:])

    async def quick(peer: Any) -> None:
        await peer.answer(LARGE)
        sent.append(peer.request.body)

    settings: dict[str, Any] = {
        "datasources": {
            "slow": {"url": (await serve(slow)).url, "timeout": NEVER},
            "quick": {"url": (await serve(quick)).url},
        },
        "batch_size": 0,
    }
    read = params_reader.read(settings, MetricSettings)
    async with (
        open_executor(plugin_context("prometheus"), read, PROMETHEUS) as executor,
        asyncio.TaskGroup() as group,
    ):
        run = task_run(seconds=NEVER)
        first = group.create_task(values(executor, run, ["first"], "slow"))
        await eventually(lambda: len(sent) == 1)
        waiting = group.create_task(values(executor, run, [f"m{number}" for number in range(5)], "slow"))
        await eventually(lambda: len(sent) == 6)
        healthy = group.create_task(values(executor, run, ["m"], "quick"))
        await eventually(lambda: len(sent) == 7)
        first_ends.set()
        assert (await first, await healthy) == (["5"], ["5"])
        assert not waiting.done()
        waiting.cancel()
