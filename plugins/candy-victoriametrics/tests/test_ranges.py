"""A ``range`` that ends at the present, on a real VictoriaMetrics, which by default hides the last seconds."""

from __future__ import annotations

import time
from typing import Any

import pytest

RANGES = [
    {"lookback": "1s"},
    {"lookback": "3s", "step": "1s"},
    {"lookback": "100s"},
    {"lookback": "2m", "step": "40s"},
    {"lookback": "1h", "step": "10m"},
]


@pytest.mark.parametrize("range_", RANGES)
async def test_the_last_point_of_a_range_is_the_tasks_instant(agent: Any, range_: dict[str, str]) -> None:
    """Contract section 2: "All metric queries of one task are evaluated at one instant, the task's start"."""
    instant = round(time.time(), 3)
    [outcome] = await agent.run({"query": "time()", "range": range_}, time_=instant)
    assert float(outcome.value) == instant


@pytest.mark.parametrize("range_", RANGES)
async def test_a_range_sees_the_last_seconds_as_an_instant_query_does(agent: Any, range_: dict[str, str]) -> None:
    """Contract section 3: "at ``time=now`` it otherwise hides the last seconds"."""
    instant, query = time.time(), "timestamp(up{job='node'})"
    [before] = await agent.run(query, time_=instant)
    [outcome] = await agent.run({"query": query, "range": range_}, time_=instant)
    [after] = await agent.run(query, time_=instant)
    assert instant - 20 < float(before.value) <= float(outcome.value) <= float(after.value)


async def test_no_point_after_the_tasks_instant_counts(agent: Any) -> None:
    range_ = {"lookback": "10s", "step": "1s"}
    [counted] = await agent.run({"query": "vector(1)", "range": {**range_, "reduce": "count"}})
    [last] = await agent.run({"query": "vector(time())", "range": {**range_, "reduce": "max"}}, time_=9.0)
    assert (counted.value, last.value) == ("11", "9")


async def test_a_query_that_is_not_promql_or_depends_on_the_ranges_end_is_not_extended(agent: Any) -> None:
    instant = round(time.time(), 3)
    range_ = {"lookback": "1m", "step": "10s", "reduce": "max"}
    [end, ends] = await agent.run(
        {"query": "end()", "range": range_}, {"query": "range_last(time())", "range": range_}, time_=instant
    )
    assert (float(end.value), float(ends.value) <= instant) == (instant, True)
