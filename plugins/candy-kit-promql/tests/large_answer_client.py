"""Runs some items at once against the server whose URL is its argument; prints outcomes and peak memory as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from candy_core import Item, Json, Outcome, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_promql import PROMETHEUS, MetricParams, MetricSettings, open_executor
from candy_testbed import task_run


async def main(url: str, count: int, params: str) -> dict[str, Json]:
    context = plugin_context("prometheus")
    item_params = params_reader.read(params, MetricParams)
    lag = 0.0

    async def watch() -> None:
        nonlocal lag
        while True:
            before = time.process_time()
            await asyncio.sleep(0.01)
            lag = max(lag, time.process_time() - before)

    async def one(index: int) -> Outcome:
        run = task_run(seconds=100, instant=1700000000.0)
        item = Item(index=index, id=index, name="", params=item_params)
        [(_, outcome)] = [answer async for answer in executor.run_batch([item], run)]
        return outcome

    async with open_executor(
        context, params_reader.read({"url": url, "timeout": 100}, MetricSettings), PROMETHEUS
    ) as executor:
        watcher = asyncio.create_task(watch())
        outcomes = await asyncio.gather(*(one(index) for index in range(count)))
        watcher.cancel()
    return {
        "outcomes": [[outcome.status, outcome.reason, outcome.stats.get("series")] for outcome in outcomes],
        "details": max(len(outcome.details) for outcome in outcomes),
        "peak_mb": peak_mb(),
        "lag": lag,
    }


def peak_mb() -> int:
    """The process's peak memory; getrusage() would include the parent's before the exec."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))))
