"""The params of a metric item, as callers write them (contract sections 1 and 3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_core import Invalid, ItemStatus, params_reader
from candy_kit_promql import Duration, MetricParams, Reduce


def read(**params: Any) -> MetricParams:
    return params_reader.read(params, MetricParams)


def test_strings_are_read_as_callers_send_them() -> None:
    params = read(
        query="up", threshold="80", critical="@10:20", no_data="critical", range='{"lookback":"300","reduce":"max"}'
    )
    assert str(params.threshold) == "80"
    assert str(params.critical) == "@10:20"
    assert params.no_data is ItemStatus.CRITICAL
    assert params.range is not None
    assert (params.range.lookback.seconds, params.range.step_seconds, params.range.reduce) == (300.0, 5.0, Reduce.MAX)


def test_numbers_are_read_as_numbers() -> None:
    params = read(query="up", threshold=80.5, range={"lookback": 300, "step": 15})
    assert str(params.threshold) == "80.5"
    assert params.range is not None
    assert params.range.step_seconds == 15


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({}, "$.query"),
        ({"query": ""}, "$.query"),
        ({"query": " \n"}, "$.query"),
        ({"query": 5}, "$.query"),
        ({"query": "up", "threshold": "many"}, "$.threshold"),
        ({"query": "up", "threshold": ""}, "$.threshold"),
        ({"query": "up", "no_data": "fine"}, "$.no_data"),
        ({"query": "up", "datasource": ""}, "$.datasource"),
        ({"query": "up", "url": "http://x"}, "$.url"),
        ({"query": "up", "range": {}}, "$.range.lookback"),
        ({"query": "up", "range": {"lookback": "5 minutes"}}, "$.range.lookback"),
        ({"query": "up", "range": {"lookback": "0s"}}, "$.range.lookback"),
        ({"query": "up", "range": {"lookback": "5m", "reduce": "median"}}, "$.range.reduce"),
        ({"query": "up", "range": {"lookback": "5m", "step": "10m"}}, "$.range"),
        ({"query": "up", "range": {"lookback": "1y", "step": "1s"}}, "$.range"),
    ],
)
def test_invalid_params_are_reported_with_their_path(params: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as rejected:
        read(**params)
    assert [problem.path for problem in rejected.value.problems] == [path]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1w", 604800),
        ("500ms", 0.5),
        ("90", 90),
        ("1.5", 1.5),
        (" 5m ", 300),
    ],
)
def test_durations_are_written_as_in_prometheus_or_in_seconds(text: str, seconds: float) -> None:
    assert Duration.parse(text).seconds == seconds


@pytest.mark.parametrize("text", ["", "m", "30m1h", "5M", "-5m", "1h1h", "1e3", "NaN", "∞", "٣m", "101y", "0", "5 m"])
def test_other_durations_are_rejected_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration") as rejected:
        Duration.parse(text)
    assert len(text) < 2 or text not in str(rejected.value)


@given(st.integers(1, 10**5), st.sampled_from(["ms", "s", "m", "h"]))
def test_a_duration_is_written_as_it_was_read(count: int, unit: str) -> None:
    duration = Duration.parse(f"{count}{unit}")
    assert Duration.parse(str(duration)) == duration
