"""Detecting a blocked event loop."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from structlog.testing import LogCapture

from candy_core.metrics import Metrics
from candy_core.ports.context import Logger
from candy_core.registry import discover
from candy_core.watchdog import LoopWatchdog


def blocked(metrics: Metrics, plugin: str) -> float:
    return metrics.registry.get_sample_value("candy_loop_blocked_total", {"plugin": plugin}) or 0.0


def lag(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("candy_loop_lag_seconds") or 0.0


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # a metric has no event
            await asyncio.sleep(0.005)


BLOCKING = """
def sleep_here(seconds):
    time.sleep(seconds)

async def block(seconds):
    sleep_here(seconds)

@hookimpl
def candy_executors():
    return [greeter("blocking")]
"""


async def test_a_plugin_that_blocks_the_loop_is_named_with_the_location(
    shelf: Any, logger: Logger, captured: LogCapture
) -> None:
    package = shelf.install("blocking", BLOCKING)
    registry = discover(blocked=shelf.elsewhere)
    metrics = Metrics("0")
    async with LoopWatchdog(packages=registry.packages, metrics=metrics, logger=logger, threshold=0.2, interval=0.02):
        await asyncio.sleep(0.1)
        assert blocked(metrics, "blocking") == 0
        await sys.modules[package].block(0.6)
        await until(lambda: len(captured.entries) == 2)
        assert blocked(metrics, "blocking") == 1
        assert lag(metrics) >= 0.3
        blocked_entry, recovered = captured.entries
        assert blocked_entry["event"] == "event_loop_blocked"
        assert blocked_entry["plugin"] == "blocking"
        assert blocked_entry["location"].endswith(" sleep_here")
        assert "shelf_blocking/__init__.py:" in blocked_entry["location"]
        assert recovered["event"] == "event_loop_recovered"
        assert recovered["seconds"] >= 0.5
        await until(lambda: lag(metrics) < 0.1)
        await sys.modules[package].block(0.6)
        await until(lambda: blocked(metrics, "blocking") == 2)


async def test_a_block_in_a_library_is_attributed_to_the_calling_plugin(shelf: Any, logger: Logger) -> None:
    (shelf.folder / "shelf_kit.py").write_text("import time\ndef spin(call): call()\n", encoding="utf-8")
    importlib.invalidate_caches()
    package = shelf.install(
        "caller", "import shelf_kit\ndef work():\n    shelf_kit.spin(lambda: time.sleep(0.5))\nhookimpl(work)"
    )
    module = importlib.import_module(package)
    metrics = Metrics("0")
    async with LoopWatchdog(
        packages={package: "caller", "shelf": "other"}, metrics=metrics, logger=logger, threshold=0.2, interval=0.02
    ):
        await asyncio.sleep(0.05)
        module.work()
        await until(lambda: blocked(metrics, "caller") == 1)
    assert blocked(metrics, "other") == 0


async def test_a_block_in_the_agent_itself_is_attributed_to_no_plugin(logger: Logger, captured: LogCapture) -> None:
    metrics = Metrics("0")
    async with LoopWatchdog(packages={}, metrics=metrics, logger=logger, threshold=0.2, interval=0.02):
        await asyncio.sleep(0.05)
        time.sleep(0.5)  # noqa: ASYNC251  # the block to detect
        await until(lambda: blocked(metrics, "") == 1)
    assert captured.entries[0]["plugin"] is None
    assert "test_watchdog.py:" in captured.entries[0]["location"]


async def test_a_block_that_the_thread_could_not_see_is_counted(logger: Logger) -> None:
    """C code that holds the interpreter lock stops the watchdog's thread too."""
    metrics = Metrics("0")
    now = 0.0
    reads = 0

    def clock() -> float:
        nonlocal reads
        reads += 1
        return now

    async with LoopWatchdog(
        packages={}, metrics=metrics, logger=logger, threshold=1.0, interval=0.02, clock=clock
    ) as watchdog:
        await until(lambda: reads > 4)
        before = blocked(metrics, "")
        now = 10.0
        watchdog._tick()  # the loop's own check, before the thread's
        await until(lambda: blocked(metrics, "") == before + 1)
    assert lag(metrics) > 5


async def test_a_running_loop_is_not_reported_and_the_thread_ends(logger: Logger, captured: LogCapture) -> None:
    metrics = Metrics("0")
    async with LoopWatchdog(packages={}, metrics=metrics, logger=logger, threshold=0.5, interval=0.01):
        assert any(thread.name == "loop-watchdog" for thread in threading.enumerate())
        await asyncio.sleep(0.1)
    assert not any(thread.name == "loop-watchdog" for thread in threading.enumerate())
    assert captured.entries == []
