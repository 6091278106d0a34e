"""Oversized output: a gigabyte, binary data, output without end."""

from __future__ import annotations

from candy_core.codec import encode
from candy_core.model.task import ItemStatus, Outcome, Reason
from candy_core.testing.executor.base import Harness, SuiteBase, require
from candy_core.testing.executor.call import fail
from candy_core.testing.executor.leaks import IMMEDIATE
from candy_core.testing.executor.memory import growth
from candy_core.testing.executor.processes import subreaper
from candy_core.testing.executor.subject import MIB, Oversized


class OversizedSuite(SuiteBase):
    """Contract section 7: a backend's answer and a command's streams have limits."""

    async def test_oversized_output_stays_within_its_limit_and_is_reported(self, harness: Harness) -> None:
        """Checks the memory of the process, the size of the outcome, and its text."""
        require(harness.subject.oversized, "oversized", "list params that cause huge, binary or endless output")
        for case in harness.subject.oversized:
            with subreaper():
                async with harness.warmed_up() as opened:
                    item_leaks = harness.leak_check()
                    with growth() as measured:
                        result = await opened.start(case.params, seconds=case.seconds).result()
                    item = harness.display(case.params)
                    if measured.peak > case.memory:
                        fail(
                            f"the process grew by {measured.peak / MIB:.0f} MiB for the oversized item {item};"
                            f" {case.memory / MIB:g} MiB are allowed.",
                            "Read in pieces and stop at context.limits.answer (a backend's answer), or keep at most"
                            " context.limits.output (each stream of a command).",
                        )
                    if result.stopped:
                        if result.error is not None:
                            fail(f"the oversized item {item} raised {result.error!r} when it was canceled")
                        found = Outcome(status=ItemStatus.FAILED, reason=Reason.TIMEOUT, message="out of time")
                        if result.outcome is not None:
                            harness.check_outcome(result.outcome, case.params)
                            found = result.outcome
                        _check_expected(harness, case, found, stopped=True)
                    else:
                        found = harness.outcome_of(result, case.params)
                        _check_expected(harness, case, found, stopped=False)
                    _check_size(harness, case, found)
                    await item_leaks.assert_no_leaks(f"after the oversized item {item}", IMMEDIATE)
                    await opened.case(harness.subject.ordinary[0])


def _check_expected(harness: Harness, case: Oversized, found: Outcome, *, stopped: bool) -> None:
    """Check that the outcome is the expected one. That of a stopped item comes from the core."""
    if not stopped:
        harness.check_case(found, case)
    elif case.reason != Reason.TIMEOUT:
        fail(
            f"the oversized item {harness.display(case.params)} had not ended after {case.seconds:g} s;"
            f" it must end by itself as {case.reason!r}.",
            "Stop reading at the limit. If it is right to go on until the deadline, expect `timeout`.",
        )


def _check_size(harness: Harness, case: Oversized, found: Outcome) -> None:
    """Check the size of an outcome, which is stored, sent, and shown in a report."""
    allowed = 8 * harness.subject.limits.output + 64 * 1024  # eight: two streams in two fields, two bytes per byte
    size = len(encode(found))
    if size > allowed:
        fail(
            f"the outcome of {harness.display(case.params)} has {size} bytes as JSON; {allowed} are allowed.",
            "Cut value, message and details at context.limits.output, and say in details how much was cut.",
        )
