"""Range queries: their params, and the points of time that they request, in whole milliseconds."""

from __future__ import annotations

import math
import re
from enum import StrEnum

from attrs import frozen

from candy_core import Mismatch
from candy_kit_promql.duration import Duration
from candy_kit_promql.parsing import parse_query

MAX_POINTS = 11_000
"""Points of a series in one range query: Prometheus' own limit."""

_DEPENDS_ON_END = re.compile(r"@|\b(?:end|range)\b", re.IGNORECASE)
"""``up @ end()``, ``end()`` and ``range()``."""
_MAX_SKEW = 5.0
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
    """Judge one value of each series, reduced from its points up to the task's instant.

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
            raise Mismatch(f"expected fewer than {MAX_POINTS} steps in lookback")

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
class TimeRange:
    """What is requested of the server; ``start``, ``end`` and ``step`` in milliseconds.

    Points after ``until``, in Unix seconds, are not part of the item's range, and are dropped.
    """

    start: int
    end: int
    step: int
    until: float = math.inf

    def form(self) -> str:
        """The range as fields of a form."""
        return f"start={self.start / 1000:.3f}&end={self.end / 1000:.3f}&step={self.step / 1000:.3f}"


def time_range_of(params: Range, instant: float, age: float | None = None) -> TimeRange:
    """The points of ``params``, the last of which is ``instant``.

    With ``age``, the seconds from the instant to the present, the range is extended to two steps after the present,
    unless it would have more than :data:`MAX_POINTS` points.
    """
    step = params.step_milliseconds
    last = round(round(instant, 3) * 1000)
    start = last - params.steps * step
    if age is not None:
        more = math.ceil((age + _MAX_SKEW) * 1000 / step) + 2
        if params.steps + more < MAX_POINTS:
            return TimeRange(start=start, end=last + more * step, step=step, until=last / 1000 + 0.0005)
    return TimeRange(start=start, end=last, step=step)


def independent_of_end(query: str) -> bool:
    """Whether a query's value at a point of time is certainly the same wherever the range ends.

    ``False`` for MetricsQL that is not PromQL (``range_max`` …). Imports the parser when it is first called.
    """
    if _DEPENDS_ON_END.search(query):
        return False
    try:
        parse_query(query)
    except ValueError:
        return False
    return True


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
