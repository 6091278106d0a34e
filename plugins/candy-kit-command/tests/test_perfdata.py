"""Performance data of monitoring plugins."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_kit_command import Metric, perfdata_of
from candy_kit_command.perfdata import MAX_METRICS, status_text

labels = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="|") | st.just(" "), min_size=1)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
bounds = st.none() | numbers


def written(metric: Metric) -> str:
    label = metric.label.replace("'", "''")
    fields = [
        f"{'U' if metric.value is None else metric.value}{metric.unit}",
        metric.warn,
        metric.crit,
        *("" if bound is None else str(bound) for bound in (metric.min, metric.max)),
    ]
    return f"'{label}'={';'.join(fields)}"


@given(
    st.lists(
        st.builds(
            Metric,
            label=labels,
            value=numbers,
            unit=st.sampled_from(["", "s", "ms", "%", "B", "KB", "c"]),
            warn=st.sampled_from(["", "80", "10:20", "@1:2", "~:5"]),
            crit=st.sampled_from(["", "90"]),
            min=bounds,
            max=bounds,
        ),
        unique_by=lambda metric: metric.label,
        max_size=10,
    )
)
def test_written_metrics_are_read_back(metrics: list[Metric]) -> None:
    line = "OK - all well | " + " ".join(map(written, metrics))
    assert list(perfdata_of(line)) == metrics


@given(st.text())
def test_no_output_breaks_the_parser(text: str) -> None:
    for metric in perfdata_of(f"OK|{text}"):
        assert metric.label
        assert metric.value is None or math.isfinite(metric.value)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("no figures at all", []),
        ("OK | a=1", [("a", 1.0, "")]),
        ("OK | a=1;2;3;4;5 b=2ms", [("a", 1.0, ""), ("b", 2.0, "ms")]),
        ("OK | 'it''s here'=5%", [("it's here", 5.0, "%")]),
        ("OK | broken a=1 =2 b= c=x d=4", [("a", 1.0, ""), ("d", 4.0, "")]),
        ("OK | a=U;1;2", [("a", None, "")]),
        ("OK | a=1e999 b=-1.5e3s", [("a", None, ""), ("b", -1500.0, "s")]),
        ("OK | a=1,5", [("a", 1.5, "")]),
        ("OK | a=1 a=2", [("a", 1.0, "")]),
        ("OK | a=1\nmore text\nand more | b=2\nc=3", [("a", 1.0, ""), ("b", 2.0, ""), ("c", 3.0, "")]),
        ("DISK OK| /=2643MB;5948;5958;0;5968", [("/", 2643.0, "MB")]),
    ],
)
def test_metrics_are_found_after_the_bar(output: str, expected: list[tuple[str, float | None, str]]) -> None:
    assert [(metric.label, metric.value, metric.unit) for metric in perfdata_of(output)] == expected


def test_the_number_of_metrics_is_bounded() -> None:
    assert len(perfdata_of("OK |" + " ".join(f"a{number}=1" for number in range(5000)))) == MAX_METRICS


def test_a_hostile_line_is_read_in_linear_time() -> None:
    for line in ("'" * 60_000, "a" * 60_000, "'a" * 30_000, "a=1;" * 15_000, ";" * 60_000, " " * 60_000):
        perfdata_of("OK |" + line)


def test_the_status_text_is_before_the_bar() -> None:
    assert status_text("DISK OK - free | /=1\nmore") == "DISK OK - free"
