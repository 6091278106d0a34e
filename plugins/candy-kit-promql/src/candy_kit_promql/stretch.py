"""Range queries: which points of time they ask for, in whole milliseconds as every server takes them."""

from __future__ import annotations

import math
import re
from enum import StrEnum

from attrs import frozen

from candy_core import Mismatch
from candy_kit_promql.duration import Duration
from candy_kit_promql.selectors import parsed

MAX_POINTS = 11_000
"""Points a series may have in one range query: where Prometheus itself draws the line."""

_OF_THE_END = re.compile(r"@|\b(?:end|range)\b", re.IGNORECASE)
"""``up @ end()``, ``end()`` and ``range()``: they know where the stretch ends."""
_SKEW = 5.0
"""Seconds by which a server's clock may be ahead of ours."""


class Reduce(StrEnum):
    """How the points of a series become the one value that is judged."""

    LAST = "last"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"


@frozen(kw_only=True)
class Range:
    """Ask for a stretch of time that ends at the task's instant, and judge one value a series.

    ``step`` is the distance of the points, by default a sixtieth of ``lookback``, at least a second, and no more than
    ``lookback``. The last point is the task's instant (contract section 2), whatever the step.
    """

    lookback: Duration
    step: Duration | None = None
    reduce: Reduce = Reduce.LAST

    def __attrs_post_init__(self) -> None:
        if self.step is not None and self.step.seconds > self.lookback.seconds:
            raise Mismatch("expected a step that is no longer than lookback")
        if self.steps >= MAX_POINTS:
            raise Mismatch(f"expected a step of which fewer than {MAX_POINTS} fit into lookback")

    @property
    def step_seconds(self) -> float:
        """The distance of the points in seconds, to the millisecond."""
        return self.step_milliseconds / 1000

    @property
    def step_milliseconds(self) -> int:
        """The distance of the points."""
        if self.step is not None:
            return _milliseconds(self.step.seconds)
        lookback = self.lookback.seconds
        return _milliseconds(min(lookback, max(1.0, lookback / 60)))

    @property
    def steps(self) -> int:
        """How many steps fit into ``lookback``; there is one point more."""
        return _milliseconds(self.lookback.seconds) // self.step_milliseconds


@frozen(kw_only=True)
class Stretch:
    """What is asked of the server; ``start``, ``end`` and ``step`` in milliseconds.

    Points after ``until``, in Unix seconds, were not asked for by the item, and are left out.
    """

    start: int
    end: int
    step: int
    until: float = math.inf

    def form(self) -> str:
        """The fields of a form."""
        return f"start={self.start / 1000:.3f}&end={self.end / 1000:.3f}&step={self.step / 1000:.3f}"


def stretch_of(asked: Range, instant: float, past: float | None = None) -> Stretch:
    """The points of ``asked``, of which ``instant`` is the last.

    With ``past`` the server is asked for some more, up to two steps after the present, which was ``past`` seconds after
    the instant; but never for more points than a server takes.
    """
    step = asked.step_milliseconds
    last = round(round(instant, 3) * 1000)
    start = last - asked.steps * step
    if past is not None:
        more = math.ceil((past + _SKEW) * 1000 / step) + 2
        if asked.steps + more < MAX_POINTS:
            return Stretch(start=start, end=last + more * step, step=step, until=last / 1000 + 0.0005)
    return Stretch(start=start, end=last, step=step)


def each_point_by_itself(query: str) -> bool:
    """Whether what a query gives at one point of time is the same however long the stretch.

    ``False`` where it cannot be told, as of MetricsQL (``range_max`` …). Imports the parser when it is first called.
    """
    return not _OF_THE_END.search(query) and parsed(query) is not None


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
