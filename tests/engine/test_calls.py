"""Which items share a call to a batch executor."""

from __future__ import annotations

from typing import Any, cast

from attrs import frozen

from candy_core import ExecutorSpec, Locale
from candy_core.engine.batching import plan_calls
from candy_core.engine.item_resolution import HostedExecutor
from candy_core.ports.planned_item import PlannedItem
from candy_core.ports.task_store import Claim


@frozen(kw_only=True)
class Params:
    place: str


@frozen(kw_only=True)
class Settings:
    pass


@frozen(eq=False)
class Stand:
    spec: ExecutorSpec[Params, Settings]


def test_an_item_shares_a_call_only_with_items_of_the_same_timeout() -> None:
    """Contract §2: "from the item's own start; at most the task's".

    Else one that has a second left would wait for neighbours that have five minutes.
    """
    spec = ExecutorSpec(
        name="test",
        params=Params,
        settings=Settings,
        open=cast("Any", None),
        batch_key=lambda params: params.place,
        dedup_key=lambda params: params.place,
        max_batch=10,
    )
    hosted = cast("HostedExecutor", Stand(spec))
    timeouts = [None, 1.0, None, 300.0, 1.0, 2.5]
    items = tuple(
        (index, PlannedItem(id=index, type="test", params={"place": "a"}, timeout=timeout))
        for index, timeout in enumerate(timeouts)
    )
    claim = Claim(
        lease="", task_id="t", evaluation_time=0, remaining=9, timeout=300, locale=Locale.EN, callback=None, items=items
    )
    calls = plan_calls(claim, {"test": hosted}).calls[hosted, None]
    assert [[part.index for part in call] for call in calls] == [[0, 2, 3], [1, 4], [5]]
