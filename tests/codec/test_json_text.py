"""Contract §1: "nesting over 100, invalid UTF-8, NaN and Infinity in a body are not accepted as JSON" """

from __future__ import annotations

import gc
import json
import math
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_core import BadJson, dumps, loads
from candy_core.codec import MAX_DEPTH

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"a":1}',
        b'[{"b":{"a":1,"\\u0061":2}}]',
    ],
)
def test_a_duplicate_key_is_rejected_and_named(text: bytes) -> None:
    with pytest.raises(BadJson, match='duplicate key "a"'):
        loads(text)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[1e999]", '{"a":-1e400}'])
def test_numbers_that_are_not_finite_are_rejected(text: str) -> None:
    with pytest.raises(BadJson):
        loads(text)


@pytest.mark.parametrize("text", [nested(101), nested(10_000), b'{"a":' * 101 + b"1" + b"}" * 101, b"[" * 100_000])
def test_nesting_beyond_the_limit_is_rejected(text: bytes) -> None:
    with pytest.raises(BadJson):
        loads(text)


def test_nesting_up_to_the_limit_is_read() -> None:
    value = loads(nested(MAX_DEPTH))
    for _ in range(MAX_DEPTH - 1):
        assert isinstance(value, list)
        (value,) = value
    assert value == []


@pytest.mark.parametrize("text", ["]" * 100, '"]' * 100, "\\" + '"]' * 50, "\\\\]" * 50, '}"{' * 50])
def test_brackets_in_strings_do_not_hide_nesting(text: str) -> None:
    quoted = json.dumps(text)
    loads(f"[{quoted}," * 99 + "[]" + "]" * 99)
    with pytest.raises(BadJson, match="nested deeper than 100"):
        loads(f"[{quoted}," * 100 + "[]" + "]" * 100)


def test_brackets_in_strings_and_siblings_are_not_nesting() -> None:
    assert loads(json.dumps(["[{" * 500])) == ["[{" * 500]
    assert loads(json.dumps([[]] * 500)) == [[]] * 500


@pytest.mark.parametrize("text", [b'"\xff"', b'{"a":"\xc3"}', b"\xfe\xff", b'"\xed\xa0\x80"', b'"\xc0\xaf"'])
def test_bytes_that_are_not_utf8_are_rejected(text: bytes) -> None:
    with pytest.raises(BadJson, match="not UTF-8 at byte"):
        loads(text)


@pytest.mark.parametrize("text", [r'"\ud800"', r'{"\udc00":1}', r'[{"a":["\ude00\ud83d"]}]', '"\udcff"'])
def test_a_lone_surrogate_is_rejected(text: str) -> None:
    with pytest.raises(BadJson):
        loads(text)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert loads(r'"\ud83c\udf6c"') == "🍬"


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf{}", "\ufeff{}".encode()])
def test_a_byte_order_mark_is_rejected(text: bytes) -> None:
    with pytest.raises(BadJson):
        loads(text)


@pytest.mark.parametrize(
    "text", [b"", b" ", b"{", b"[1,]", b"{'a':1}", b"01", b"1 2", b"{}x", b'"\n"', b"nul", b"+1", b".5", b"/**/1"]
)
def test_invalid_json_is_rejected_with_its_position(text: bytes) -> None:
    with pytest.raises(BadJson, match=r"line \d+, column \d+"):
        loads(text)


def test_integers_of_more_than_64_bits_keep_all_digits() -> None:
    for number in (2**63, 2**64, -(2**80), 10**400):
        assert loads(str(number)) == number
        assert dumps(number) == str(number).encode()
        assert dumps({"n": [number], "中": "文"}) == f'{{"n":[{number}],"中":"文"}}'.encode()


def test_an_extremely_long_integer_is_rejected() -> None:
    with pytest.raises(BadJson):
        loads(b"9" * 1_000_000)


@pytest.mark.parametrize("text", [b'["' + b"a" * 100_000 + b'"]', b'["' + b"a" * 100_000, b"[" * 100_000])
def test_garbage_collection_is_on_again_afterwards(text: bytes) -> None:
    assert gc.isenabled()
    with suppress(BadJson):
        loads(text)
    assert gc.isenabled()


def test_megabytes_of_brackets_take_little_time() -> None:
    """A body of brackets takes half a second; to find its depth step by step took minutes."""
    began = time.thread_time()  # processor time, whatever else runs
    loads(b"[" + (b"[" * 90 + b"]" * 90 + b",") * 10_000 + b"0]")
    with pytest.raises(BadJson):
        loads(b"[" * 900_000)
    assert time.thread_time() - began < 30


def test_no_error_repeats_a_value() -> None:
    for text in (
        b'{"password":"hunter2",}',
        b'{"password":"hunter2","n":1e999}',
        b'{"password":"hunter2"',
        b'"hunter2',
    ):
        with pytest.raises(BadJson) as caught:
            loads(text)
        assert "hunter2" not in str(caught.value)


def test_non_ascii_is_written_as_it_is() -> None:
    """Contract §1: "Non-ASCII is sent as is.\""""
    assert dumps({"消息": "🍬"}) == '{"消息":"🍬"}'.encode()


def test_values_that_json_cannot_express_do_not_stop_the_rest() -> None:
    assert json.loads(dumps({"value": math.nan, "worst": -math.inf, "n": 1})) == {"value": None, "worst": None, "n": 1}
    assert json.loads(dumps({"value": math.nan, "n": 2**70})) == {"value": None, "n": 2**70}
    assert json.loads(dumps({"details": "a\udcffb"})) == {"details": "a?b"}


def test_other_values_are_a_type_error() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    for value in (object(), {1, 2}, b"bytes", {"a": object()}, cyclic):
        with pytest.raises(TypeError):
            dumps(value)  # type: ignore[arg-type]  # the point of the test


@given(json_values)
def test_writing_and_reading_a_value_gives_the_value(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert loads(dumps(value, sort_keys=True)) == value


@given(json_values, st.booleans())
def test_loads_agrees_with_the_standard_library(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert loads(text) == loads(text.encode()) == json.loads(text)


@given(st.text(alphabet='{}[]",:0123456789.eE+-\\udtrufalsn \n\ta\x00é') | st.text())
def test_loads_agrees_with_the_standard_library_on_whatever_both_accept(text: str) -> None:
    try:
        value = loads(text)
    except BadJson:
        return
    expected = json.loads(text)
    assert value == expected
    assert repr(value) == repr(expected)  # == also holds for 1 and 1.0, and for 1 and true


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_bad_json(text: bytes) -> None:
    with suppress(BadJson):
        loads(text)


def test_too_many_arrays_are_rejected_before_they_take_memory() -> None:
    """Contract §7: "at these the process stays below 400 MB": 16 MiB of empty arrays would take 320 MB."""
    with pytest.raises(BadJson, match="1000000"):
        loads(b"[" + b"[]," * 1_000_000 + b"[]]")
    assert len(loads(b"[" + b"[]," * 9_999 + b"[]]")) == 10_000  # type: ignore[arg-type]  # a list
