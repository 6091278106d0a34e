"""Detecting a blocked event loop."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
import time
from typing import Any

import pytest
from attrs import define
from structlog.testing import LogCapture

from candy_core.metrics import Metrics
from candy_core.ports.context import Logger
from candy_core.registry import discover
from candy_core.watchdog import LoopWatchdog
from candy_testbed import eventually


def blocked(metrics: Metrics, plugin: str) -> float:
    return metrics.registry.get_sample_value("candy_loop_blocked_total", {"plugin": plugin}) or 0.0


def lag(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("candy_loop_lag_seconds") or 0.0


@define
class Clock:
    """The watchdog's clock, which only the test advances: a busy machine blocks no loop."""

    captured: LogCapture
    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def block(self) -> None:
        """Block the loop for 0.6 s of this clock, until the watchdog's thread has noticed."""
        before = len(self.captured.entries)
        self.now += 0.6
        deadline = time.monotonic() + 60
        while len(self.captured.entries) == before:
            assert time.monotonic() < deadline, "the thread has not noticed"
            time.sleep(0.005)


@pytest.fixture
def clock(captured: LogCapture) -> Clock:
    return Clock(captured)


BLOCKING = """
def block_here(block_loop):
    block_loop()

async def block(block_loop):
    block_here(block_loop)

@hookimpl
def candy_executors():
    return [greeter("blocking")]
"""


async def test_a_plugin_that_blocks_the_loop_is_named_with_the_location(
    site: Any, logger: Logger, captured: LogCapture, clock: Clock
) -> None:
    package = site.install("blocking", BLOCKING)
    packages = discover(blocked=site.elsewhere).packages
    metrics = Metrics("0")
    async with LoopWatchdog(
        packages=packages, metrics=metrics, logger=logger, threshold=0.2, interval=0.02, clock=clock
    ):
        await asyncio.sleep(0.1)
        assert blocked(metrics, "blocking") == 0
        await sys.modules[package].block(clock.block)
        await eventually(lambda: len(captured.entries) == 2)
        assert blocked(metrics, "blocking") == 1
        assert lag(metrics) >= 0.3
        blocked_entry, recovered = captured.entries
        assert blocked_entry["event"] == "event_loop_blocked"
        assert blocked_entry["plugin"] == "blocking"
        assert blocked_entry["location"].endswith(" block_here")
        assert "site_blocking/__init__.py:" in blocked_entry["location"]
        assert recovered["event"] == "event_loop_recovered"
        assert recovered["seconds"] >= 0.5
        await eventually(lambda: lag(metrics) < 0.1)
        await sys.modules[package].block(clock.block)
        await eventually(lambda: blocked(metrics, "blocking") == 2)


async def test_a_block_in_a_library_is_attributed_to_the_calling_plugin(
    site: Any, logger: Logger, clock: Clock
) -> None:
    (site.folder / "site_kit.py").write_text("def spin(call): call()\n", encoding="utf-8")
    importlib.invalidate_caches()
    package = site.install(
        "caller", "import site_kit\ndef work(block_loop):\n    site_kit.spin(lambda: block_loop())\nhookimpl(work)"
    )
    module = importlib.import_module(package)
    metrics = Metrics("0")
    packages = {package: "caller", "site": "other"}
    async with LoopWatchdog(
        packages=packages, metrics=metrics, logger=logger, threshold=0.2, interval=0.02, clock=clock
    ):
        await asyncio.sleep(0.05)
        module.work(clock.block)
        await eventually(lambda: blocked(metrics, "caller") == 1)
    assert blocked(metrics, "other") == 0


async def test_a_block_in_the_agent_itself_is_attributed_to_no_plugin(
    logger: Logger, captured: LogCapture, clock: Clock
) -> None:
    metrics = Metrics("0")
    async with LoopWatchdog(packages={}, metrics=metrics, logger=logger, threshold=0.2, interval=0.02, clock=clock):
        await asyncio.sleep(0.05)
        clock.block()
        await eventually(lambda: blocked(metrics, "") == 1)
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
        await eventually(lambda: reads > 4)
        before = blocked(metrics, "")
        now = 10.0
        watchdog._tick()  # the loop's own check, before the thread's
        await eventually(lambda: blocked(metrics, "") == before + 1)
    assert lag(metrics) > 5


async def test_a_running_loop_is_not_reported_and_the_thread_ends(
    logger: Logger, captured: LogCapture, clock: Clock
) -> None:
    async with LoopWatchdog(
        packages={}, metrics=Metrics("0"), logger=logger, threshold=0.5, interval=0.01, clock=clock
    ) as watchdog:
        assert any(thread.name == "loop-watchdog" for thread in threading.enumerate())
        for _ in range(5):  # in sum longer than the threshold, with a tick in between
            clock.now += 0.4
            await eventually(lambda: watchdog._last == clock.now)
    await eventually(lambda: not any(thread.name == "loop-watchdog" for thread in threading.enumerate()))
    assert captured.entries == []
