"""Finding the selectors of queries."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_kit_promql import Selection, Selector, selection_of


def needed(query: str) -> list[str]:
    selection = selection_of(query)
    assert selection is not None
    return [selector.expression() for selector in selection.needed]


@pytest.mark.parametrize(
    ("query", "expressions"),
    [
        ("up", ["up"]),
        ("up + up - up", ["up"]),
        ("sum by (a) (rate(x{b=~'c.*'}[5m])) / on(a) y", ['present_over_time(x{b=~"c.*"}[300000ms])', "y"]),
        ("x offset 5m", ["x offset 300000ms"]),
        ("x offset -5m", ["x offset -300000ms"]),
        ("x @ 1700000000", ["x @ 1700000000.000"]),
        ("x @ end()", ["x"]),
        ('{__name__=~"a.*",b!="c",d!~"e"}', ['{__name__=~"a.*",b!="c",d!~"e"}']),
        (r'x{a="quote \" and \\ and \n"}', [r'x{a="quote \" and \\ and \n"}']),
        ("max_over_time((x > 5)[1h:1m] offset 2h)", ["present_over_time(x[3900000ms] offset 7200000ms)"]),
        ("max_over_time(rate(x[5m] offset 1m)[1h:])", ["present_over_time(x[3900000ms] offset 60000ms)"]),
        ("a unless b", ["a"]),
        ("a and b or c", ["a", "b", "c"]),
        ("absent(a) or absent_over_time(b[5m])", []),
        ("vector(1) > time()", []),
        ("quantile(scalar(a), b)", ["a", "b"]),
    ],
)
def test_the_selectors_that_must_have_series_are_found(query: str, expressions: list[str]) -> None:
    assert needed(query) == expressions


@pytest.mark.parametrize("query", ["a > 1", "a == b", "a and b", "a unless b", "absent(a)", "topk(3, a)", "-(a < 1)"])
def test_operators_that_may_drop_series_are_filters(query: str) -> None:
    selection = selection_of(query)
    assert selection is not None
    assert selection.filters


@pytest.mark.parametrize("query", ["a", "a + b", "a > bool 1", "rate(a[5m])", "a or b", "sum(a)", "a == bool b"])
def test_operators_that_drop_no_series_are_not_filters(query: str) -> None:
    selection = selection_of(query)
    assert selection is not None
    assert not selection.filters


@pytest.mark.parametrize(
    "query",
    [
        "up{",
        "newest_function(up)",
        "max_over_time(x[1h:1m] @ 1700000000)",
        '{a="b" or c="d"}',
        "(" * 100_000 + "up" + ")" * 100_000,
        "+".join(["up"] * 100_000),
        "-" * 100_000 + "up",
        "up offset 5m" * 100_000,
        "up offset Inf",  # at these the parser panics
        "up[1e30]",
        "up[5m:1e30]",
    ],
)
def test_a_query_that_cannot_be_parsed_has_no_selection(query: str) -> None:
    assert selection_of(query) is None


def test_a_range_query_widens_the_windows_of_its_selectors() -> None:
    selection = Selection(needed=(Selector(text="a"), Selector(text="b", at=5.0), Selector(text="c", window=60.0)))
    assert [selector.window for selector in selection.widened(3600.0).needed] == [3900.0, None, 3660.0]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_label_value_is_kept(value: str) -> None:
    written = json.dumps(value, ensure_ascii=False)
    assert needed(f"up{{a={written}}}") == [f"up{{a={written}}}"]


@given(st.text(alphabet="up{}()[]\"'`\\=~!<>@offset 5m:+-*/^and unless,", max_size=60))
def test_no_text_raises(query: str) -> None:
    selection_of(query)
