"""The outcomes of ordinary items, and of items that cannot succeed."""

from __future__ import annotations

from candy_core.model.task import ItemStatus, Locale
from candy_core.testing.executor.base import Harness, SuiteBase, require
from candy_core.testing.executor.call import fail


class OutcomesSuite(SuiteBase):
    """An expected failure is a result, not an exception."""

    async def test_ordinary_items_end_as_expected(self, harness: Harness) -> None:
        """In both languages: the verdict is the same."""
        async with harness.opened() as opened:
            for case in harness.subject.ordinary:
                for locale in Locale:
                    outcome = await opened.case(case, locale=locale)
                    if outcome.status is ItemStatus.FAILED:
                        fail(
                            f"the ordinary item {harness.display(case.params)} is failed: {outcome.message}",
                            "Put one that works into Subject.ordinary, and this one into Subject.failures.",
                        )

    async def test_expected_failures_are_results(self, harness: Harness) -> None:
        """Each with its reason and a sentence. An exception is a fault of the plugin."""
        require(harness.subject.failures, "failures", "list params that cannot succeed, with the reason of each")
        async with harness.opened() as opened:
            for case in harness.subject.failures:
                for locale in Locale:
                    outcome = await opened.case(case, locale=locale)
                    if outcome.status is not ItemStatus.FAILED:
                        fail(
                            f"the item {harness.display(case.params)} cannot succeed, but is {outcome.status}:",
                            harness.masked(f"{outcome.message}\n{outcome.details}").rstrip(),
                            "An item without a result is ItemStatus.FAILED with a reason, never healthy.",
                        )
            # A failure does not change the executor.
            await opened.case(harness.subject.ordinary[0])

    async def test_failed_items_leave_nothing_behind(self, harness: Harness) -> None:
        """Repeatedly, with the executor open. A connection may be kept, but only one."""
        require(harness.subject.failures, "failures", "list params that cannot succeed, with the reason of each")
        async with harness.warmed_up() as opened:
            for case in harness.subject.failures:
                await opened.case(case)
                leaks = harness.leak_check()
                for _ in range(3):
                    await opened.case(case)
                await leaks.assert_no_leaks(f"after three more items {harness.display(case.params)} that failed")
