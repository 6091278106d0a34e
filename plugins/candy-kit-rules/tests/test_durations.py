"""Durations: exactly those that Prometheus and VictoriaMetrics accept are accepted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_kit_rules.durations import (
    prometheus_duration_problem,
    victoriametrics_duration_problem,
    victoriametrics_offset_problem,
    victoriametrics_seconds,
)

UNITS = ["y", "w", "d", "h", "m", "s", "ms"]
BOTH = ["0s", "5m", "1h30m", "1y2w3d4h5m6s7ms", "90m", "0001s", "250y"]
NEITHER = ["", " ", "5x", "m", "m5", "5 m", "5m ", "-5m", "1h-5m", "5m\n", "٥m", "1e3s", "five", "5:00", "300y1x"]
PROMETHEUS_ONLY = ["0"]
VICTORIAMETRICS_ONLY = ["1.5h", "30m1h", "1m1m", "90", "0.5", "1i", "5.m"]


def groups(duration: str) -> list[Any]:
    return [{"name": "g", "rules": [{"alert": "a", "expr": "up", "for": duration}]}]


@pytest.mark.parametrize("duration", [*BOTH, *PROMETHEUS_ONLY, *NEITHER, *VICTORIAMETRICS_ONLY, "300y"])
def test_durations_for_prometheus_are_checked_as_by_promtool(promtool: Callable[[Any], str], duration: str) -> None:
    found = prometheus_duration_problem(duration)
    assert bool(found) is bool(promtool(groups(duration)))
    assert found is None or found.startswith("expected a duration")


@pytest.mark.parametrize(
    "duration", [*BOTH, *VICTORIAMETRICS_ONLY, "0", *(each for each in NEITHER if "-" not in each)]
)
def test_durations_for_victoriametrics_are_checked_as_by_vmalert(vmalert: Callable[[Any], str], duration: str) -> None:
    found = victoriametrics_duration_problem(duration)
    assert bool(found) is bool(vmalert(groups(duration)))
    assert found is None or found.startswith("expected a duration")


@pytest.mark.parametrize("duration", ["-5m", "1h-5m"])
def test_a_negative_for_is_rejected_though_vmalert_reads_it(duration: str) -> None:
    assert victoriametrics_duration_problem(duration)
    assert victoriametrics_offset_problem("-5m") is None


counts = st.integers(0, 9999)


@given(st.lists(st.none() | counts, min_size=len(UNITS), max_size=len(UNITS)).filter(any))
def test_units_in_order_are_accepted_for_both(numbers: list[int | None]) -> None:
    text = "".join(f"{count}{unit}" for count, unit in zip(numbers, UNITS, strict=True) if count is not None)
    years = sum(
        (count or 0) * size / 365 for count, size in zip(numbers, [365, 7, 1, 1 / 24, 0, 0, 0], strict=True)
    )  # approximately
    if years < 292:
        assert prometheus_duration_problem(text) is None
    if years > 293:
        assert prometheus_duration_problem(text) == "expected a duration of at most 292 years"
    assert victoriametrics_duration_problem(text) is None


@given(st.lists(st.tuples(counts, st.sampled_from(UNITS)), min_size=2, max_size=5))
def test_units_out_of_order_are_rejected_for_prometheus(terms: list[tuple[int, str]]) -> None:
    text = "".join(f"{count}{unit}" for count, unit in terms)
    positions = [UNITS.index(unit) for _, unit in terms]
    in_order = all(first < second for first, second in pairwise(positions))
    found = prometheus_duration_problem(text)
    assert (found is None or "292" in found) is in_order
    assert victoriametrics_duration_problem(text) is None


@given(st.text(max_size=20))
def test_any_text_is_checked(text: str) -> None:
    prometheus_duration_problem(text)
    if victoriametrics_offset_problem(text) is None:
        victoriametrics_seconds(text)


def test_seconds_of_a_duration() -> None:
    assert victoriametrics_seconds("1.5h") == 5400
    assert victoriametrics_seconds("-1m500ms") == -60.5
    assert victoriametrics_seconds("90") == 90
    assert victoriametrics_seconds("5i") == 0


def test_a_one_megabyte_text_is_rejected_at_once() -> None:
    assert prometheus_duration_problem("1" * 1_000_000)
    assert victoriametrics_duration_problem("1m" * 500_000)
