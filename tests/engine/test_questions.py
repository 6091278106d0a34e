"""Items that ask the same share a call, however full it is (``ExecutorSpec.dedup_key``)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, cast

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from candy_core import ExecutorSpec, Locale
from candy_core.engine.batching import plan_calls
from candy_core.engine.item_resolution import HostedExecutor
from candy_core.ports.planned_item import PlannedItem
from candy_core.ports.task_store import Claim


@frozen(kw_only=True)
class Params:
    place: str
    question: str | None = None


@frozen(kw_only=True)
class Settings:
    pass


@frozen(eq=False)
class Stand:
    spec: ExecutorSpec[Params, Settings]


def calls(asked: list[tuple[str, str | None]], dedup_key: Callable[[Params], Hashable] | None) -> list[list[int]]:
    """The items of each call, by their place in the task."""
    spec = ExecutorSpec(
        name="test",
        params=Params,
        settings=Settings,
        open=cast("Any", None),
        batch_key=lambda params: params.place,
        dedup_key=dedup_key,
        max_batch=2,
    )
    hosted = cast("HostedExecutor", Stand(spec))
    items = tuple(
        (index, PlannedItem(id=index, type="test", params={"place": place, "question": question}))
        for index, (place, question) in enumerate(asked)
    )
    claim = Claim(
        lease="", task_id="t", evaluation_time=0, remaining=1, timeout=1, locale=Locale.EN, callback=None, items=items
    )
    gathered = plan_calls(claim, {"test": hosted})
    assert not gathered.rejected
    return [[part.index for part in call] for call in gathered.calls[hosted, None]]


def test_equal_questions_count_once_and_stay_together() -> None:
    asked: list[tuple[str, str | None]] = [
        ("a", "1"),
        ("a", "1"),
        ("a", "2"),
        ("a", "3"),
        ("a", "1"),
        ("b", "1"),
        ("a", "3"),
    ]
    assert calls(asked, lambda params: params.question) == [[0, 1, 2, 4], [3, 6], [5]]


def test_without_the_key_a_call_is_full_by_its_items() -> None:
    assert calls([("a", "1")] * 5, None) == [[0, 1], [2, 3], [4]]


def test_a_key_that_raises_or_cannot_be_one_makes_a_question_of_its_own() -> None:
    def fails(params: Params) -> Hashable:
        raise RuntimeError

    def unhashable(params: Params) -> Hashable:
        return cast("Hashable", [])

    assert calls([("a", "1")] * 3, fails) == calls([("a", "1")] * 3, unhashable) == [[0, 1], [2]]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["1", "2", "3", None]))))
def test_every_item_is_in_one_call_and_no_call_has_too_many_questions(asked: list[tuple[str, str | None]]) -> None:
    found = calls(asked, lambda params: params.question) if asked else []
    assert sorted(index for call in found for index in call) == list(range(len(asked)))
    for call in found:
        assert len({asked[index][0] for index in call}) == 1
        named = {asked[index][1] for index in call} - {None}
        assert len(named) + sum(asked[index][1] is None for index in call) <= 2
    homes: dict[tuple[str, str], set[int]] = {}
    for number, call in enumerate(found):
        for index in call:
            place, question = asked[index]
            if question is not None:
                homes.setdefault((place, question), set()).add(number)
    assert all(len(home) == 1 for home in homes.values())
