"""What an executor's items depend on has its own share of the calls (``ExecutorSpec.concurrency_key``)."""

from __future__ import annotations

import pytest

from candy_testbed import eventually

from .conftest import Bench, engine_at_work, item


@pytest.mark.parametrize("tasks", [1, 2])
async def test_items_of_one_place_are_done_while_those_of_another_hang(tasks: int) -> None:
    """Contract §2: an item that hangs costs nobody else's; within a task, and from one task to the next."""
    async with engine_at_work() as bench:
        sick = [item(f"sick-{number}", "shared", place="sick", act="hang") for number in range(50)]
        well = [item(f"well-{number}", "shared", place="well") for number in range(50)]
        if tasks == 1:
            task_id = await bench.submit(*sick, *well)
        else:
            await bench.submit(*sick)
            await eventually(lambda: len(bench.stage.entered) == 2)
            task_id = await bench.submit(*well)

        async def all_well() -> bool:
            found = {result["item_id"] for result in (await bench.so_far(task_id))["results"]}
            return found >= {f"well-{number}" for number in range(50)}

        await eventually(all_well)
        assert bench.stage.running["shared"] == 2


async def test_a_bound_is_one_of_each_share(bench: Bench) -> None:
    """``ExecutorSpec.max_concurrent``, over several tasks."""
    held = [
        await bench.submit(*(item(f"{place}{number}", "shared", place=place, act="hang") for number in range(3)))
        for place in ("a", "b", "a")
    ]
    await eventually(lambda: bench.stage.running["shared"] == 4)
    bench.stage.gate.set()
    for task_id in held:
        await bench.result(task_id)
    assert bench.stage.most["shared"] <= 4


async def test_the_bound_on_all_calls_holds_over_all_shares(bench: Bench) -> None:
    """The setting ``max_concurrent``; and the share's bound is followed when it changes."""
    bench.limits["calls"] = 3
    task_id = await bench.submit(*(item(number, "shared", place=str(number), act="hang") for number in range(9)))
    await eventually(lambda: bench.stage.running["shared"] == 3)
    bench.stage.gate.set()
    assert {result["reason"] for result in (await bench.result(task_id))["results"]} == {"ok"}
    assert bench.stage.most["shared"] == 3
