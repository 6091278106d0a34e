"""Deadlines and cancels: an item ends soon after, without leaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from candy_core.model.task import ItemStatus, Reason
from candy_core.testing.executor.base import Harness, Opened, SuiteBase, require
from candy_core.testing.executor.call import Call, CallResult, Params, fail
from candy_core.testing.executor.leaks import IMMEDIATE, assert_no_warnings, runtime_warnings
from candy_core.testing.executor.processes import subreaper

ENDLESS = "list params of items that run until they are stopped: a server that never answers, `sleep 600`"
START_UP = 0.4
"""Seconds until an item is surely running: connected, its command started."""
LOOP_CYCLES = (*range(20), 25, 30, 40, 60, 100)
"""Cycles of the event loop after which an item is canceled."""
DELAYS = (0.003, 0.01, 0.03, 0.1)
"""Seconds after which an item is canceled: a process takes longer to start than the cycles do."""


class StoppingSuite(SuiteBase):
    """Contract section 3: "At a timeout or a cancel every process that the command started is dead"."""

    async def test_a_timeout_is_respected(self, harness: Harness) -> None:
        """The item ends by itself, or soon after the core cancels it at the deadline."""
        require(harness.subject.endless, "endless", ENDLESS)
        for params in harness.subject.endless:
            async with harness.warmed_up() as opened:
                result = await opened.start(params, seconds=1.0).result()
                _in_time(harness, params, result, "its deadline")
                if result.stopped:
                    continue
                outcome = harness.outcome_of(result, params)
                if outcome.status is not ItemStatus.FAILED or outcome.reason != Reason.TIMEOUT:
                    fail(
                        f"the endless item {harness.display(params)} ended by itself after {result.seconds:.2f} s as"
                        f" {outcome.status}/{outcome.reason}: {outcome.message}",
                        "If it ran out of time, return failed/timeout, or let the core cancel it."
                        " If it is not endless, Subject.endless needs other params.",
                    )

    async def test_a_cancel_ends_an_item_and_leaves_nothing_behind(self, harness: Harness) -> None:
        """No process, busy thread or file at once, no more connections and tasks each time, nothing after the close."""
        require(harness.subject.endless, "endless", ENDLESS)
        for params in harness.subject.endless:
            after = f"after a cancel of {harness.display(params)}"
            with subreaper(), runtime_warnings() as caught:
                all_leaks = harness.leak_check()
                async with harness.warmed_up() as opened:
                    item_leaks = harness.leak_check()
                    await _cancelled(harness, opened, [params])
                    await item_leaks.assert_no_leaks(after, IMMEDIATE, timeout=harness.subject.stop_within)
                    growth_leaks = harness.leak_check()
                    for _ in range(3):
                        await _cancelled(harness, opened, [params])
                    await item_leaks.assert_no_leaks(after, IMMEDIATE, timeout=harness.subject.stop_within)
                    await growth_leaks.assert_no_leaks(f"{after}, three more times")
                    await opened.case(harness.subject.ordinary[0])
                await all_leaks.assert_no_leaks(f"{after}, and the end of open()")
            assert_no_warnings(caught)

    async def test_a_cancel_at_any_moment_leaves_nothing_behind(self, harness: Harness) -> None:
        """Also between the start of a process and the first line that knows it."""
        require(harness.subject.endless, "endless", ENDLESS)
        for params in harness.subject.endless:
            with subreaper(), runtime_warnings() as caught:
                all_leaks = harness.leak_check()
                async with harness.warmed_up() as opened:
                    item_leaks = harness.leak_check()
                    for cycles in LOOP_CYCLES:
                        call = opened.start(params)
                        for _ in range(cycles):
                            await asyncio.sleep(0)
                        _in_time(harness, params, await call.stop(), f"a cancel after {cycles} cycles of the loop")
                        moment = f"after a cancel of {harness.display(params)} {cycles} loop cycles from its start"
                        await item_leaks.assert_no_leaks(moment, IMMEDIATE, timeout=harness.subject.stop_within)
                    for delay in DELAYS:
                        call = opened.start(params)
                        await asyncio.sleep(delay)
                        _in_time(harness, params, await call.stop(), f"a cancel after {delay} s")
                        moment = f"after a cancel of {harness.display(params)} {delay} s from its start"
                        await item_leaks.assert_no_leaks(moment, IMMEDIATE, timeout=harness.subject.stop_within)
                await all_leaks.assert_no_leaks("after cancels at many moments, and the end of open()")
            assert_no_warnings(caught)

    async def test_many_items_that_are_canceled_together_all_end(self, harness: Harness) -> None:
        """As at the end of a task, and at a shutdown."""
        require(harness.subject.endless, "endless", ENDLESS)
        with subreaper():
            all_leaks = harness.leak_check()
            async with harness.warmed_up() as opened:
                for params in harness.subject.endless:
                    await _cancelled(harness, opened, [params] * min(8, harness.subject.spec.max_concurrent or 8))
            await all_leaks.assert_no_leaks("after many items that were canceled together, and the end of open()")


async def _cancelled(harness: Harness, opened: Opened, many: Sequence[Params]) -> None:
    """Start each in its own call, cancel all of them while they run, and check that they end in time."""
    calls = [opened.start(params, first=index) for index, params in enumerate(many)]
    await asyncio.sleep(START_UP)
    for call, params in zip(calls, many, strict=True):
        _still_running(harness, call, params)
    for call, result in zip(calls, await asyncio.gather(*(call.stop() for call in calls)), strict=True):
        _in_time(harness, many[calls.index(call)], result, "its cancel")


def _still_running(harness: Harness, call: Call, params: Params) -> None:
    if call.task.done():
        ending = call.outcomes[0][1] if call.outcomes else call.error
        fail(
            f"the endless item {harness.display(params)} ended by itself within {START_UP} s:",
            harness.masked(repr(ending)),
            "Subject.endless needs params that run until they are stopped.",
        )


def _in_time(harness: Harness, params: Params, result: CallResult, what: str) -> None:
    if result.stopped and result.error is not None:
        fail(
            f"the item {harness.display(params)} raised {harness.masked(repr(result.error))} when it was canceled:",
            "clean up, and then let asyncio.CancelledError pass, or return an outcome",
        )
    if result.late > harness.subject.stop_within:
        fail(
            f"the item {harness.display(params)} ended {result.late:.2f} s after {what};"
            f" {harness.subject.stop_within:g} s are allowed.",
            "Limit the time of a slow clean-up, and do not wait for what was just stopped.",
        )
    if result.outcome is not None:
        harness.check_outcome(result.outcome, params)
