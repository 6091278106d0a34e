"""Contestants in turn, round after round, and the ratio of two of them."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from attrs import frozen

Contestant: TypeAlias = Callable[[], Awaitable[float]]
"""Does its work once; returns seconds for one piece of it."""
Times: TypeAlias = Mapping[str, Sequence[float]]
"""A contestant's seconds a piece, round by round."""


async def in_turn(contestants: Mapping[str, Contestant], rounds: int, done: Callable[[], None]) -> Times:
    """Let each do its work ``rounds`` times, one after the other and never two at once; ``done`` after each.

    Every second round goes backwards, so that nobody always has the colder or the busier machine.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        order = list(contestants)[:: 1 if number % 2 == 0 else -1]
        for name in order:
            times[name].append(await contestants[name]())
            done()
    return times


@frozen
class Spread:
    """The median of a figure over the rounds, its lowest and its highest value."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value a round."""
        return cls(statistics.median(values), min(values), max(values))

    @classmethod
    def of_ratios(cls, above: Sequence[float], below: Sequence[float]) -> Spread:
        """Of ``above / below``, round by round: what slows down a whole round cancels out."""
        return cls.of([a / b for a, b in zip(above, below, strict=True)])
