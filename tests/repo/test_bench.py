"""What ``make bench`` prints is a ratio within each round, so its arithmetic has to be right."""

from __future__ import annotations

import pytest
from rich.console import Console

from candy_bench.findings import Bound, Finding, Goal, table
from candy_bench.rounds import Spread, in_turn


async def test_contestants_take_turns_and_the_order_is_reversed_each_round() -> None:
    order: list[str] = []

    async def work(name: str) -> float:
        order.append(name)
        return float(len(order))

    times = await in_turn({"a": lambda: work("a"), "b": lambda: work("b")}, 3, lambda: None)
    assert "".join(order) == "abbaab"
    assert times == {"a": [1, 4, 5], "b": [2, 3, 6]}


def test_a_ratio_is_taken_round_by_round() -> None:
    assert Spread.of_ratios([2, 40, 3], [1, 10, 3]) == Spread(2, 1, 4)


@pytest.mark.parametrize(
    ("bound", "figure", "reached"),
    [(Bound.AT_LEAST, 0.9, True), (Bound.AT_LEAST, 0.89, False), (Bound.AT_MOST, 0.9, True), (Bound.AT_MOST, 1, False)],
)
def test_a_goal_counts_as_reached_on_its_own_side(bound: Bound, figure: float, reached: bool) -> None:
    assert Goal(bound=bound, value=0.9).reached(figure) is reached


def test_what_is_not_here_is_told_in_its_row() -> None:
    console = Console(width=100)
    with console.capture() as shown:
        console.print(table([Finding(label="remote", figure=None, note="sshd is not installed")]))
    assert "not measured: sshd is not installed" in " ".join(shown.get().replace("│", " ").split())
