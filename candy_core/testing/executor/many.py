"""Many items at once: each gets its own outcome, and none pays for another."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

from candy_core.model.task import Outcome
from candy_core.ports.executor import Item
from candy_core.testing.executor.base import Opened, Stage, SuiteBase, needed
from candy_core.testing.executor.call import Call, fail, together
from candy_core.testing.executor.stopping import WHY
from candy_core.testing.executor.subject import Case

NUMBERED = "give a function that makes the nth of many items, each with a `value` of its own"


class ManySuite(SuiteBase):
    """The core runs calls side by side, as many as ``max_concurrent`` allows."""

    async def test_many_items_at_once_each_get_their_own_outcome(self, stage: Stage) -> None:
        """Each in a call of its own; every other expected failure in between costs nobody else."""
        cases = [*_numbered(stage), *stage.subject.ordinary, *stage.subject.failures]
        at_once = asyncio.Semaphore(stage.subject.spec.max_concurrent or 32)
        async with stage.opened() as opened:

            async def one(case: Case) -> None:
                async with at_once:
                    await opened.case(case)

            await together(*(one(case) for case in cases))

    async def test_each_index_of_a_batch_is_told_exactly_once(self, stage: Stage) -> None:
        """Batches as the core makes them: of items with the same key, from anywhere in the task, in any order."""
        subject = stage.subject
        if subject.spec.batch_key is None:
            return
        cases = [*_numbered(stage), *subject.ordinary, *subject.ordinary]
        batches = _batches(stage, cases)
        async with stage.opened() as opened:
            for batch in batches:
                call = opened.start_items([item for item, _ in batch], batch=True)
                ended = await call.ended()
                stage.outcome_of(ended, batch[0][1].params)
                outcomes = _each_once(call, [item for item, _ in batch])
                for item, case in batch:
                    stage.sound(outcomes[item.index], case.params)
                    stage.expected(outcomes[item.index], case)

    async def test_an_item_that_hangs_does_not_hold_up_the_others(self, stage: Stage) -> None:
        """One dead server must not cost the answers of those that live."""
        needed(stage.subject.endless, "endless", WHY)
        if stage.subject.spec.max_concurrent == 1:
            return
        async with stage.warm() as opened:
            for params in stage.subject.endless:
                hanging = opened.start(params)
                try:
                    await asyncio.sleep(0.1)
                    await _while_it_hangs(stage, opened, hanging)
                finally:
                    await hanging.stop()


async def _while_it_hangs(stage: Stage, opened: Opened, hanging: Call) -> None:
    for case in stage.subject.ordinary:
        try:
            async with asyncio.timeout(stage.subject.end_within / 2):
                await opened.case(case)
        except TimeoutError:
            fail(
                f"the item {stage.shown(case.params)} waits for one that hangs:",
                "hold no lock while you wait for a backend, and bound what is shared by host",
            )
    if hanging.task.done():
        fail("an item that is given as Subject.endless ended while the others ran: give params that run on")


def _numbered(stage: Stage) -> list[Case]:
    needed(stage.subject.numbered, "numbered", NUMBERED)
    assert stage.subject.numbered is not None
    cases = [stage.subject.numbered(number) for number in range(stage.subject.many)]
    if None in {case.value for case in cases} or len({case.value for case in cases}) < len(cases):
        fail("Subject.numbered must give each number a Case with a `value` that no other has")
    return cases


def _batches(stage: Stage, cases: Sequence[Case]) -> list[list[tuple[Item[Any], Case]]]:
    """Items with their cases, grouped by their key, at most ``max_batch`` questions together."""
    spec = stage.subject.spec
    assert spec.batch_key is not None
    groups: dict[object, dict[object, list[tuple[Item[Any], Case]]]] = {}
    # Not from 0, not in a row, and not in order: a batch is some of a task's items.
    for place, case in enumerate(cases):
        index = 3 * (len(cases) - place) + 7
        item = Item(index=index, id=f"item-{index}", name="", params=stage.read(case.params))
        key = spec.batch_key(item.params)
        group = groups.setdefault(("alone", index) if key is None else ("together", key), {})
        question = index if spec.dedup_key is None else spec.dedup_key(item.params)
        group.setdefault(question, []).append((item, case))
    return [
        [one for question in itertools.islice(group.values(), at, at + spec.max_batch) for one in question]
        for group in groups.values()
        for at in range(0, len(group), spec.max_batch)
    ]


def _each_once(call: Call, items: Sequence[Item[Any]]) -> dict[int, Outcome]:
    told = [index for index, _ in call.answers]
    wanted = [item.index for item in items]
    if sorted(told) != sorted(wanted):
        missing, foreign = sorted(set(wanted) - set(told)), sorted(set(told) - set(wanted))
        twice = sorted({index for index in told if told.count(index) > 1})
        fail(
            f"run_batch() was given the indexes {sorted(wanted)}"
            f" and left out {missing}, told {twice} more than once, and {foreign} that are none of them.",
            "Yield (item.index, outcome) exactly once for each item; item.index is its place in the task,"
            " not in the batch.",
        )
    return dict(call.answers)
