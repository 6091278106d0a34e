"""Which queries may be asked together, and how they are written and taken apart."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_kit_promql.batch import MARK, MixedUpError, apart, together, written
from candy_kit_promql.joining import Joining, joining
from candy_kit_promql.wire import UNREADABLE, read_labels, read_vector

TOGETHER, UNSORTED, ALONE = Joining.TOGETHER, Joining.TOGETHER_UNSORTED, Joining.ALONE


@pytest.mark.parametrize(
    ("query", "how"),
    [
        ("up", TOGETHER),
        ('up{job="a) or (b"} offset 5m', TOGETHER),
        ("-(up)", TOGETHER),
        ("up > bool 1", TOGETHER),
        ("1 + up", TOGETHER),
        ("sum by (job) (rate(up[5m]))\n> 1", TOGETHER),
        ("vector(1)", TOGETHER),
        ("minute()", TOGETHER),
        ("absent(up)", TOGETHER),
        ("max_over_time(up[5m:1m])", TOGETHER),
        ("sum(topk(3, up))", TOGETHER),
        ("up or vector(0)", UNSORTED),
        ("((up or gone))", UNSORTED),
        # No instant vector.
        ("1", ALONE),
        ("1 + 1", ALONE),
        ("2 > bool 1", ALONE),
        ("time()", ALONE),
        ("scalar(up)", ALONE),
        ('"text"', ALONE),
        ("up[5m]", ALONE),
        ("up[5m:1m]", ALONE),
        # Its order is what is asked for.
        ("sort(up)", ALONE),
        ("(sort_desc(up))", ALONE),
        ("topk(3, up)", ALONE),
        ("bottomk(3, up)", ALONE),
        # Not understood, or not certainly.
        ("up) or (up", ALONE),
        ('up, "a"', ALONE),
        ("up # a comment", ALONE),
        ("up{a=`b`}", ALONE),
        ("up\r", ALONE),
        ("up\x00", ALONE),
        ("rate(up)", ALONE),
        ("gone default 0", ALONE),
        ("WITH (x = up) x", ALONE),
        ("label_set(up, 'a', 'b')", ALONE),
        ("", ALONE),
        ("up + " * 299 + "up", TOGETHER),
        ("up + " * 301 + "up", ALONE),
        ("(" * 100_000, ALONE),
        ("up" + " " * 2000, ALONE),
    ],
)
def test_only_what_certainly_gives_an_instant_vector_is_asked_together(query: str, how: Joining) -> None:
    assert joining(query) is how


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=60))
def test_every_query_stands_in_the_whole_as_it_is(queries: list[str]) -> None:
    whole = together(queries)
    assert all(f'label_replace({query},"{MARK}","{number}","","")' in whole for number, query in enumerate(queries))
    assert whole.count(MARK) == len(queries)
    assert parse_qs(f"a=b&query={written(whole)}&c=d") == {"a": ["b"], "query": [whole], "c": ["d"]}


labels = st.dictionaries(st.text("abcdef_ ", min_size=1, max_size=3), st.text(max_size=3), max_size=3)


@given(st.lists(st.tuples(st.integers(0, 4), labels), max_size=30))
def test_what_was_marked_is_taken_apart_in_its_order(marked: list[tuple[int, dict[str, str]]]) -> None:
    body = [
        {"metric": own | {MARK: str(number)}, "value": [1, str(place)]} for place, (number, own) in enumerate(marked)
    ]
    found = apart(read_vector(json.dumps(body).encode()), 5)
    for number in range(5):
        got = [(read_labels(series.metric), series.value.text if series.value else "") for series in found[number]]
        assert got == [(own, str(place)) for place, (which, own) in enumerate(marked) if which == number]


def test_a_servers_own_order_is_restored() -> None:
    body = [{"metric": {"a": name, MARK: "0"}, "value": [1, "1"]} for name in "cab"]
    [found] = apart(read_vector(json.dumps(body).encode()), 1, lambda own: own["a"])
    assert [read_labels(series.metric) for series in found] == [{"a": "a"}, {"a": "b"}, {"a": "c"}]


@pytest.mark.parametrize("metric", [{}, {MARK: ""}, {MARK: "2"}, {MARK: "-1"}, {MARK: "0x1"}, {MARK: "²"}, {MARK: 0}])
def test_a_mark_that_nobody_was_given_spoils_the_whole(metric: dict[str, object]) -> None:
    with pytest.raises((MixedUpError, *UNREADABLE)):
        apart(read_vector(json.dumps([{"metric": metric, "value": [1, "1"]}]).encode()), 2)
