"""Many items at once: each gets its own outcome, and none affects another."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

from candy_core.model.task import Outcome
from candy_core.ports.executor import Item
from candy_core.testing.executor.base import Harness, Opened, SuiteBase, require
from candy_core.testing.executor.call import Call, fail, run_together
from candy_core.testing.executor.stopping import ENDLESS
from candy_core.testing.executor.subject import Case

NUMBERED = "give a function that makes the nth of many items, each with its own `value`"


class ConcurrencySuite(SuiteBase):
    """The core runs as many calls at once as ``max_concurrent`` allows."""

    async def test_many_items_at_once_each_get_their_own_outcome(self, harness: Harness) -> None:
        """Each in its own call, with expected failures in between that do not affect the others."""
        cases = [*_numbered(harness), *harness.subject.ordinary, *harness.subject.failures]
        at_once = asyncio.Semaphore(harness.subject.spec.max_concurrent or 32)
        async with harness.opened() as opened:

            async def one(case: Case) -> None:
                async with at_once:
                    await opened.case(case)

            await run_together(*(one(case) for case in cases))

    async def test_each_index_of_a_batch_has_exactly_one_outcome(self, harness: Harness) -> None:
        """Batches as the core makes them: items with the same key from anywhere in the task, in any order."""
        subject = harness.subject
        if subject.spec.batch_key is None:
            return
        cases = [*_numbered(harness), *subject.ordinary, *subject.ordinary]
        batches = _batches(harness, cases)
        async with harness.opened() as opened:
            for batch in batches:
                call = opened.start_items([item for item, _ in batch], batch=True)
                result = await call.result()
                harness.outcome_of(result, batch[0][1].params)
                outcomes = _by_index(call, [item for item, _ in batch])
                for item, case in batch:
                    harness.check_outcome(outcomes[item.index], case.params)
                    harness.check_case(outcomes[item.index], case)

    async def test_an_item_that_hangs_does_not_delay_the_others(self, harness: Harness) -> None:
        """One dead server must not delay the results of the others."""
        require(harness.subject.endless, "endless", ENDLESS)
        if harness.subject.spec.max_concurrent == 1:
            return
        async with harness.warmed_up() as opened:
            for params in harness.subject.endless:
                hanging = opened.start(params)
                try:
                    await asyncio.sleep(0.1)
                    await _while_it_hangs(harness, opened, hanging)
                finally:
                    await hanging.stop()


async def _while_it_hangs(harness: Harness, opened: Opened, hanging: Call) -> None:
    for case in harness.subject.ordinary:
        try:
            async with asyncio.timeout(harness.subject.end_within / 2):
                await opened.case(case)
        except TimeoutError:
            fail(
                f"the item {harness.display(case.params)} waits for one that hangs:",
                "hold no lock while you wait for a backend, and limit what is shared per host",
            )
    if hanging.task.done():
        fail("an item of Subject.endless ended while the others ran: give params that run until they are stopped")


def _numbered(harness: Harness) -> list[Case]:
    require(harness.subject.numbered, "numbered", NUMBERED)
    assert harness.subject.numbered is not None
    cases = [harness.subject.numbered(number) for number in range(harness.subject.many)]
    if None in {case.value for case in cases} or len({case.value for case in cases}) < len(cases):
        fail("Subject.numbered must give each number a Case with a unique `value`")
    return cases


def _batches(harness: Harness, cases: Sequence[Case]) -> list[list[tuple[Item[Any], Case]]]:
    """Items with their cases, grouped by their key, at most ``max_batch`` dedup keys in one batch."""
    spec = harness.subject.spec
    assert spec.batch_key is not None
    groups: dict[object, dict[object, list[tuple[Item[Any], Case]]]] = {}
    # Indexes with gaps and in descending order: a batch has only some of a task's items.
    for number, case in enumerate(cases):
        index = 3 * (len(cases) - number) + 7
        item = Item(index=index, id=f"item-{index}", name="", params=harness.read(case.params))
        key = spec.batch_key(item.params)
        group = groups.setdefault(("alone", index) if key is None else ("together", key), {})
        dedup_key = index if spec.dedup_key is None else spec.dedup_key(item.params)
        group.setdefault(dedup_key, []).append((item, case))
    return [
        [pair for same in itertools.islice(group.values(), start, start + spec.max_batch) for pair in same]
        for group in groups.values()
        for start in range(0, len(group), spec.max_batch)
    ]


def _by_index(call: Call, items: Sequence[Item[Any]]) -> dict[int, Outcome]:
    given, yielded = [item.index for item in items], [index for index, _ in call.outcomes]
    if sorted(yielded) != sorted(given):
        missing, unknown = sorted(set(given) - set(yielded)), sorted(set(yielded) - set(given))
        repeated = sorted({index for index in yielded if yielded.count(index) > 1})
        fail(
            f"run_batch() was given the indexes {sorted(given)}; it left out {missing}, yielded {repeated} more than"
            f" once, and {unknown} that it was not given.",
            "Yield (item.index, outcome) exactly once for each item; item.index is its index in the task, not in the"
            " batch.",
        )
    return dict(call.outcomes)
