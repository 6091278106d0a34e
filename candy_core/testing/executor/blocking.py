"""All plugins share the event loop, so none may block it."""

from __future__ import annotations

import asyncio

from candy_core.testing.executor.base import Harness, Opened, SuiteBase
from candy_core.testing.executor.call import fail, run_together
from candy_core.testing.executor.loop_watch import MAX_STALL, assert_no_blocking, lag_watch

ATTEMPTS = 3
"""A busy machine may block once; a plugin that blocks does so every time."""


class BlockingSuite(SuiteBase):
    """Runs every kind of item once and watches the event loop."""

    async def test_no_call_blocks(self, harness: Harness) -> None:
        """Calls for files, sleeps, sockets and locks, by name. Imports when it first opens are allowed."""
        async with harness.warmed_up():
            pass
        with assert_no_blocking(f"the executor {harness.subject.spec.name}", harness.subject.may_block):
            async with harness.opened() as opened:
                await _run_everything(harness, opened)

    async def test_the_event_loop_is_never_blocked(self, harness: Harness) -> None:
        """Long computations, and calls that block outside of Python."""
        async with harness.warmed_up() as opened:
            for _ in range(ATTEMPTS):
                async with lag_watch() as stalls:
                    await _run_everything(harness, opened)
                if not stalls:
                    return
        seconds, where = max(stalls)
        fail(
            f"the event loop was blocked for {seconds:.2f} s, {where}; {MAX_STALL} s are allowed."
            f" This happened {ATTEMPTS} times in a row.",
            "Use asyncio.to_thread for long computations and blocking calls, or split them with"
            " `await asyncio.sleep(0)`.",
        )


async def _run_everything(harness: Harness, opened: Opened) -> None:
    subject = harness.subject
    for case in (*subject.ordinary, *subject.failures):
        await opened.case(case)
    if subject.numbered is not None:
        await run_together(*(opened.case(subject.numbered(number)) for number in range(min(8, subject.many))))
    for params in subject.endless:
        call = opened.start(params)
        await asyncio.sleep(0.2)
        await call.stop()
    for case in subject.oversized:
        await opened.start(case.params, seconds=min(1.0, case.seconds)).result()
    if subject.spec.check is not None:
        await subject.spec.check(opened.executor)
