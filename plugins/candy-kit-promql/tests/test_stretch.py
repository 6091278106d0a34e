"""Which points of time a range asks for."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from candy_core import Mismatch
from candy_kit_promql import Duration, Range
from candy_kit_promql.stretch import MAX_POINTS, each_point_by_itself, stretch_of

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
    """Contract §2: "All metric queries of one task are evaluated at one instant, the task's start"."""
    asked = ranges(lookback, step)
    stretch = stretch_of(asked, instant)
    assert f"&end={instant:.3f}&" in stretch.form()
    assert (stretch.end - stretch.start) % stretch.step == 0
    points = (stretch.end - stretch.start) // stretch.step + 1
    assert 2 <= points <= MAX_POINTS
    assert -1 < asked.lookback.seconds * 1000 - (stretch.end - stretch.start) < stretch.step + 1  # rounded


@given(durations, st.none() | durations, instants, st.floats(0, 30))
def test_what_is_asked_past_the_present_adds_points_after_the_instant_and_changes_none(
    lookback: str, step: str | None, instant: float, past: float
) -> None:
    asked = ranges(lookback, step)
    plain, longer = stretch_of(asked, instant), stretch_of(asked, instant, past)
    assert (longer.start, longer.step) == (plain.start, plain.step)
    assert (longer.end - longer.start) // longer.step < MAX_POINTS
    if longer != plain:
        assert (longer.end - plain.end) % plain.step == 0
        assert longer.end > plain.end + past * 1000 + plain.step
        assert plain.end / 1000 <= longer.until < plain.end / 1000 + 0.001


@pytest.mark.parametrize(
    ("query", "told"),
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
def test_only_what_is_certainly_the_same_in_every_stretch_is_asked_past_the_present(query: str, told: bool) -> None:
    assert each_point_by_itself(query) is told
