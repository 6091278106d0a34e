"""Opening and closing, in any order and at any moment, without leaks."""

from __future__ import annotations

import asyncio
import contextlib
import traceback

from candy_core.codec import params_reader
from candy_core.ports.context import Health
from candy_core.testing.executor.base import Harness, SuiteBase
from candy_core.testing.executor.call import Call, abandon, fail, run_together
from candy_core.testing.executor.leaks import assert_no_warnings, runtime_warnings
from candy_core.testing.executor.processes import subreaper

CHECK = 5.0
"""Seconds that the core allows for a check."""
LOOP_CYCLES = (*range(12), 20, 40)


class OpeningSuite(SuiteBase):
    """``open`` is an async context manager that the core enters and leaves in the same task."""

    async def test_it_opens_without_settings_and_its_items_have_outcomes(self, harness: Harness) -> None:
        """Contract section 7: "a plugin without settings is ``active``, its items ``not_configured``"."""
        try:
            async with harness.opened(params_reader.read({}, harness.subject.spec.settings)) as opened:
                result = await opened.start(harness.subject.ordinary[0].params).result()
                harness.outcome_of(result, harness.subject.ordinary[0].params)
        except Exception as error:  # noqa: BLE001  # any exception is a failure
            fail(
                f"open() raised {type(error).__name__} with default settings:",
                harness.masked("".join(traceback.format_exception(error)).rstrip()),
                "It must open without settings; an item that needs a missing one gets `not_configured`"
                " (return such an Outcome, or raise candy_core.NotConfigured in run).",
            )

    async def test_open_close_and_reopen_leave_nothing_behind(self, harness: Harness) -> None:
        """From the first time on: nothing may be kept for the life of the process."""
        with runtime_warnings() as caught:
            all_leaks = harness.leak_check()
            async with harness.opened():
                pass
            await all_leaks.assert_no_leaks("after open() and its end, without an item")
            for time in ("the first", "the second", "the third"):
                async with harness.opened() as opened:
                    for case in harness.subject.ordinary:
                        await opened.case(case)
                await all_leaks.assert_no_leaks(f"after {time} open(), some items, and its end")
        assert_no_warnings(caught)

    async def test_a_cancel_while_it_opens_leaves_nothing_behind(self, harness: Harness) -> None:
        """The core cancels an opening that takes longer than five seconds."""
        with subreaper(), runtime_warnings() as caught:
            all_leaks = harness.leak_check()
            for cycles in LOOP_CYCLES:
                call = asyncio.create_task(_open_and_wait(harness))
                for _ in range(cycles):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait((call,), timeout=harness.subject.close_within)
                if not call.done():
                    abandon(call)
                    fail(
                        f"open() went on for {harness.subject.close_within:g} s after it was canceled:",
                        "let asyncio.CancelledError pass",
                    )
                await all_leaks.assert_no_leaks(f"after a cancel {cycles} cycles of the loop into open()")
        assert_no_warnings(caught)

    async def test_a_close_while_a_call_is_running_ends_cleanly(self, harness: Harness) -> None:
        """An abandoned call may still run at the end. Closing neither hangs nor raises, and the call ends as well."""
        subject = harness.subject
        for params in subject.endless or [subject.ordinary[0].params]:
            with subreaper():
                all_leaks = harness.leak_check()
                call = await self._close_during(harness, params)
                await asyncio.wait((call.task,), timeout=subject.stop_within)
                result = await call.stop()
                if result.late > subject.stop_within:
                    fail(
                        f"a call of {harness.display(params)} ended {result.late:.2f} s after its cancel, with a closed"
                        f" executor; {subject.stop_within:g} s are allowed."
                    )
                await all_leaks.assert_no_leaks(f"after a close with {harness.display(params)} running, and its cancel")

    async def _close_during(self, harness: Harness, params: object) -> Call:
        """A call whose executor was closed while it ran."""
        async with contextlib.AsyncExitStack() as stack:
            opened = await stack.enter_async_context(harness.warmed_up())
            call = opened.start(params)  # type: ignore[arg-type]  # one of the subject's
            await asyncio.sleep(0.3)
            try:
                async with asyncio.timeout(harness.subject.close_within):
                    await stack.aclose()
            except TimeoutError:
                call.task.cancel()
                fail(
                    f"closing took more than {harness.subject.close_within:g} s with a call running:"
                    " do not wait for calls at the end of open(), the core cancels them itself"
                )
            except Exception as error:  # noqa: BLE001  # any exception is a failure
                call.task.cancel()
                fail(f"closing raised {harness.masked(repr(error))} with a running call: close what is open and end")
        return call

    async def test_two_open_executors_do_not_affect_each_other(self, harness: Harness) -> None:
        """As with two agents in one process, or a new one while an old one drains. Either may close first."""
        case = harness.subject.ordinary[0]
        with runtime_warnings() as caught:
            all_leaks = harness.leak_check()
            for first_goes in (True, False):
                async with contextlib.AsyncExitStack() as outer, contextlib.AsyncExitStack() as inner:
                    first = await outer.enter_async_context(harness.opened())
                    second = await inner.enter_async_context(harness.opened())
                    await run_together(first.case(case), second.case(case))
                    if first_goes:
                        await outer.aclose()
                        await second.case(case)
                    else:
                        await inner.aclose()
                        await first.case(case)
            await all_leaks.assert_no_leaks("after two executors that were open at the same time")
        assert_no_warnings(caught)

    async def test_the_check_reports_health(self, harness: Harness) -> None:
        """With its settings and without any. The core calls it again and again."""
        check = harness.subject.spec.check
        if check is None:
            return
        all_leaks = harness.leak_check()
        for settings in (harness.settings(), params_reader.read({}, harness.subject.spec.settings)):
            async with harness.opened(settings) as opened:
                try:
                    async with asyncio.timeout(CHECK):
                        health: object = await check(opened.executor)
                except Exception as error:  # noqa: BLE001  # any exception is a failure
                    fail(
                        f"check() raised {harness.masked(repr(error))}:",
                        "return Health(ok=False, detail=…) within five seconds if something does not work",
                    )
                if not isinstance(health, Health):
                    fail(f"check() gave {type(health).__name__}; expected candy_core.Health")
                if not health.ok and not health.detail:
                    fail("check() gave Health(ok=False) without a detail: say in one sentence what does not work")
        await all_leaks.assert_no_leaks("after check() and the end of open()")


async def _open_and_wait(harness: Harness) -> None:
    async with harness.opened():
        await asyncio.Event().wait()
