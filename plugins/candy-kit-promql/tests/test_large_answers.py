"""Large answers are read one at a time, and the wait for that does not count as the server's time."""

from __future__ import annotations

import asyncio
from typing import Any

from candy_core import Item, Outcome, Reason, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_promql import PROMETHEUS, MetricParams, MetricSettings, open_executor
from candy_testbed import task_run

TIMEOUT = 5.0
HELD = 8.0
"""Seconds for which the slow server's answer holds the lock: longer than the timeout of the quick one."""
ANSWER = (
    b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"5"]}]}, "more":"'
    + b"x" * 16 * 1024 * 1024
    + b'"}'
)


async def test_the_wait_for_another_large_answer_does_not_count_as_the_servers_time(serve: Any) -> None:
    locked = asyncio.Event()

    async def slow(peer: Any) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER[:-1])
        locked.set()  # most of it has been read, so the lock is held
        await asyncio.sleep(HELD)
        await peer.send(ANSWER[-1:])

    settings = {
        "datasources": {
            "slow": {"url": (await serve(slow)).url, "timeout": 60},
            "quick": {"url": (await serve(lambda peer: peer.answer(ANSWER))).url, "timeout": TIMEOUT},
        }
    }
    read = params_reader.read(settings, MetricSettings)
    async with open_executor(plugin_context("prometheus"), read, PROMETHEUS) as executor:

        async def outcome(datasource: str) -> Outcome:
            item = Item(index=0, id=0, name="", params=MetricParams(query="m", datasource=datasource))
            [(_, found)] = [pair async for pair in executor.run_batch([item], task_run())]
            return found

        async with asyncio.TaskGroup() as group:
            first = group.create_task(outcome("slow"))
            await locked.wait()
            second = group.create_task(outcome("quick"))
    assert (first.result().reason, second.result().reason) == (Reason.OK, Reason.OK)
    assert second.result().value == "5"
