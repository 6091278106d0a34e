"""A datasource that hangs, beside a real one: whose items wait for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from candy_testbed import eventually
from candy_testbed.running_agent import RunningAgent, StartAgent

MANY = 100


@pytest.fixture
async def hanging() -> AsyncIterator[str]:
    """Base URL of a server that accepts connections and never says a word."""
    never = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await never.wait()
        finally:
            writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    never.set()


def items(name: str, **params: Any) -> list[dict[str, Any]]:
    """Half of them may be asked together, and half are asked one by one."""
    queries = [f"vector({number})" if number % 2 else f"{number}" for number in range(MANY)]
    return [
        {"id": f"{name}-{number}", "type": "prometheus", "params": {"query": query, **params}}
        for number, query in enumerate(queries)
    ]


async def values(agent: RunningAgent, task_id: str) -> dict[str, str]:
    """The values of the items that are done."""
    return {each["item_id"]: each["value"] for each in (await agent.get(f"/api/v1/results/{task_id}"))["results"]}


async def test_a_datasource_that_hangs_holds_up_no_items_of_another(
    start_agent: StartAgent, prometheus: str, hanging: str
) -> None:
    """Contract §3, `datasource`: neither within its task nor in the next one."""
    datasources = {"sick": {"url": hanging, "timeout": 600}}
    sick, well = items("sick", datasource="sick"), items("well")
    expected = {f"well-{number}": str(number) for number in range(MANY)}
    async with start_agent(
        CANDY_PROMETHEUS_URL=prometheus, CANDY_PROMETHEUS_DATASOURCES=json.dumps(datasources)
    ) as agent:
        status, first = await agent.post("/api/v1/task", {"items": [*sick, *well], "timeout": 600})
        assert status == 202, first

        async def all_well() -> bool:
            return (await values(agent, first["task_id"])).keys() >= expected.keys()

        await eventually(all_well)
        assert await values(agent, first["task_id"]) == expected, "what hangs has no results yet"
        second = await agent.run({"items": well, "timeout": 300})
        assert {each["item_id"]: each["value"] for each in second["results"]} == expected
        assert await values(agent, first["task_id"]) == expected
        _, canceled = await agent.delete(f"/api/v1/tasks/{first['task_id']}")
        assert canceled["success"] is True
