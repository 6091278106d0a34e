"""Which queries may be batched, and how a batch is written and its answer split."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_kit_promql.batch import LABEL, BatchLabelError, batch_query, form_encoded, split
from candy_kit_promql.batchable import Batchable, batchable
from candy_kit_promql.wire import UNREADABLE, read_labels, read_vector

YES, UNSORTED, NO = Batchable.YES, Batchable.UNSORTED, Batchable.NO


@pytest.mark.parametrize(
    ("query", "how"),
    [
        ("up", YES),
        ('up{job="a) or (b"} offset 5m', YES),
        ("-(up)", YES),
        ("up > bool 1", YES),
        ("1 + up", YES),
        ("sum by (job) (rate(up[5m]))\n> 1", YES),
        ("vector(1)", YES),
        ("minute()", YES),
        ("absent(up)", YES),
        ("max_over_time(up[5m:1m])", YES),
        ("sum(topk(3, up))", YES),
        ("up or vector(0)", UNSORTED),
        ("((up or gone))", UNSORTED),
        # Not an instant vector.
        ("1", NO),
        ("1 + 1", NO),
        ("2 > bool 1", NO),
        ("time()", NO),
        ("scalar(up)", NO),
        ('"text"', NO),
        ("up[5m]", NO),
        ("up[5m:1m]", NO),
        # Its order matters.
        ("sort(up)", NO),
        ("(sort_desc(up))", NO),
        ("topk(3, up)", NO),
        ("bottomk(3, up)", NO),
        # Not parsed, or ambiguous.
        ("up) or (up", NO),
        ('up, "a"', NO),
        ("up # a comment", NO),
        ("up{a=`b`}", NO),
        ("up\r", NO),
        ("up\x00", NO),
        ("rate(up)", NO),
        ("gone default 0", NO),
        ("WITH (x = up) x", NO),
        ("label_set(up, 'a', 'b')", NO),
        ("", NO),
        ("up + " * 299 + "up", YES),
        ("up + " * 301 + "up", NO),
        ("(" * 100_000, NO),
        ("up" + " " * 2000, NO),
    ],
)
def test_only_a_query_that_certainly_gives_an_instant_vector_is_batched(query: str, how: Batchable) -> None:
    assert batchable(query) is how


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=60))
def test_a_batch_contains_every_query_unchanged(queries: list[str]) -> None:
    whole = batch_query(queries)
    assert all(f'label_replace({query},"{LABEL}","{number}","","")' in whole for number, query in enumerate(queries))
    assert whole.count(LABEL) == len(queries)
    assert parse_qs(f"a=b&query={form_encoded(whole)}&c=d") == {"a": ["b"], "query": [whole], "c": ["d"]}


labels = st.dictionaries(st.text("abcdef_ ", min_size=1, max_size=3), st.text(max_size=3), max_size=3)


@given(st.lists(st.tuples(st.integers(0, 4), labels), max_size=30))
def test_labeled_series_are_split_in_their_order(labeled: list[tuple[int, dict[str, str]]]) -> None:
    body = [
        {"metric": own | {LABEL: str(number)}, "value": [1, str(position)]}
        for position, (number, own) in enumerate(labeled)
    ]
    found = split(read_vector(json.dumps(body).encode()), 5)
    for number in range(5):
        got = [(read_labels(series.metric), series.value.text if series.value else "") for series in found[number]]
        assert got == [(own, str(position)) for position, (which, own) in enumerate(labeled) if which == number]


def test_the_servers_own_order_is_restored() -> None:
    body = [{"metric": {"a": name, LABEL: "0"}, "value": [1, "1"]} for name in "cab"]
    [found] = split(read_vector(json.dumps(body).encode()), 1, lambda own: own["a"])
    assert [read_labels(series.metric) for series in found] == [{"a": "a"}, {"a": "b"}, {"a": "c"}]


@pytest.mark.parametrize(
    "metric", [{}, {LABEL: ""}, {LABEL: "2"}, {LABEL: "-1"}, {LABEL: "0x1"}, {LABEL: "²"}, {LABEL: 0}]
)
def test_an_unknown_label_fails_the_whole_batch(metric: dict[str, object]) -> None:
    with pytest.raises((BatchLabelError, *UNREADABLE)):
        split(read_vector(json.dumps([{"metric": metric, "value": [1, "1"]}]).encode()), 2)
