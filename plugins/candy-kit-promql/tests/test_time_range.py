"""Which points of time a range requests."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from candy_core import Mismatch
from candy_kit_promql import Duration, Range
from candy_kit_promql.time_range import MAX_POINTS, independent_of_end, time_range_of

durations = st.one_of(
    st.integers(1, 10**8).map(lambda count: f"{count}ms"),
    st.integers(1, 10**9).map(lambda count: f"{count / 10**4:.4f}"),
)
instants = st.floats(10**9, 4 * 10**9)


def ranges(lookback: str, step: str | None) -> Range:
    try:
        parsed = Duration.parse(lookback), None if step is None else Duration.parse(step)
        return Range(lookback=parsed[0], step=parsed[1])
    except (ValueError, Mismatch):
        assume(False)
        raise


@given(durations, st.none() | durations, instants)
def test_the_last_point_is_the_tasks_instant_whatever_the_step(lookback: str, step: str | None, instant: float) -> None:
    """Contract section 2: "All metric queries of one task are evaluated at one instant, the task's start"."""
    params = ranges(lookback, step)
    found = time_range_of(params, instant)
    assert f"&end={instant:.3f}&" in found.form()
    assert (found.end - found.start) % found.step == 0
    points = (found.end - found.start) // found.step + 1
    assert 2 <= points <= MAX_POINTS
    assert -1 < params.lookback.seconds * 1000 - (found.end - found.start) < found.step + 1  # rounded


@given(durations, st.none() | durations, instants, st.floats(0, 30))
def test_extending_a_range_past_the_present_adds_points_after_the_instant_and_changes_none(
    lookback: str, step: str | None, instant: float, age: float
) -> None:
    params = ranges(lookback, step)
    plain, longer = time_range_of(params, instant), time_range_of(params, instant, age)
    assert (longer.start, longer.step) == (plain.start, plain.step)
    assert (longer.end - longer.start) // longer.step < MAX_POINTS
    if longer != plain:
        assert (longer.end - plain.end) % plain.step == 0
        assert longer.end > plain.end + age * 1000 + plain.step
        assert plain.end / 1000 <= longer.until < plain.end / 1000 + 0.001


@pytest.mark.parametrize(
    ("query", "independent"),
    [
        ("rate(up[5m])", True),
        ("up > start()", True),
        ("up @ end()", False),
        ("up < END ()", False),
        ("up < range()", False),
        ("max_over_time(up[5m] @ start())", False),
        ("range_avg(up)", False),
        ("running_sum(up)", False),
        ("up{", False),
    ],
)
def test_only_a_query_that_certainly_does_not_depend_on_the_end_is_extended(query: str, independent: bool) -> None:
    assert independent_of_end(query) is independent
