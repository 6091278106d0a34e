"""One reader for every YAML text: strict where YAML is lenient, and silent about values."""

from __future__ import annotations

import contextlib
import math
import re
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from candy_core import Invalid, read_yaml, yaml_reader


def problems_of(text: str | bytes, **options: Any) -> list[str]:
    """The messages; every problem is at the path that was given."""
    with pytest.raises(Invalid) as caught:
        read_yaml(text, path="a.yaml", **options)
    assert {problem.path for problem in caught.value.problems} == {"a.yaml"}
    return [problem.message for problem in caught.value.problems]


@pytest.fixture(params=["libyaml", "pure Python"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    assert yaml_reader._LOADER is yaml.CSafeLoader, "the fast one is used where it is installed"
    if request.param == "pure Python":
        monkeypatch.setattr(yaml_reader, "_LOADER", yaml.SafeLoader)
    return str(request.param)


def test_without_types_a_text_is_what_it_says(library: str) -> None:
    """Lessons: '`summary: No` is a boolean in YAML'. Prometheus reads a text there, and so do we."""
    text = "summary: No\nversion: 1.10\nid: 0x1F\nday: 2026-11-23\nnothing: null\nempty:\nquoted: 'null'\n"
    text += "list: [1, true]\nnull: 1\n2: b\n"
    assert read_yaml(text, typed=False) == {
        "summary": "No", "version": "1.10", "id": "0x1F", "day": "2026-11-23", "nothing": None, "empty": None,
        "quoted": "null", "list": ["1", "true"], "null": "1", "2": "b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("NULL", None), ("nULL", "nULL"), ("'null'", "null"),
        ("true", True), ("FALSE", False), ("yes", "yes"), ("No", "No"), ("on", "on"), ("y", "y"), ("'true'", "true"),
        ("0", 0), ("-12", -12), ("+7", 7), ("007", "007"), ("0o17", "0o17"), ("0x1F", "0x1F"), ("1_000", "1_000"),
        ("12:30:45", "12:30:45"), ("2026-11-23", "2026-11-23"), ("18446744073709551617", 2**64 + 1), ("'1'", "1"),
        ("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0), ("1.10", 1.1), (".inf", ".inf"), (".nan", ".nan"),
        ("=", "="), ("! 5", "5"), ("!!str 5", "5"), ("!!int '5'", 5), ("!!float 5", 5.0), ("!!bool 'True'", True),
        ("\ufeffa: b", {"a": "b"}), ('{"a": [1, "x", null, {}]}', {"a": [1, "x", None, {}]}), ("# nothing\n", None),
    ],
)  # fmt: skip
def test_with_types_scalars_are_those_of_yaml_1_2(text: str, value: Any, library: str) -> None:
    for given_text in (text, text.encode()):
        found = read_yaml(given_text)
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize("typed", [True, False])
def test_tags_anchors_and_merges_are_read(typed: bool, library: str) -> None:
    text = "a: &a {x: p, y: q}\nb: {<<: *a, y: r}\nc: *a\nd: {<<: [*a, {z: s, x: t}]}\n"
    text += "e: [!!int 10, !!float 1.5, !!bool true, !!str 5, !!null '']\nf: {'<<': v}\n"
    assert read_yaml(text, typed=typed) == {
        "a": {"x": "p", "y": "q"}, "b": {"x": "p", "y": "r"}, "c": {"x": "p", "y": "q"},
        "d": {"x": "p", "y": "q", "z": "s"}, "e": [10, 1.5, True, "5", None], "f": {"<<": "v"},
    }  # fmt: skip


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\nb: 2\na: 3\nb: 4\n", ["line 3: duplicate key 'a'", "line 4: duplicate key 'b'"]),
        ("{a: {k: 1, k: 2}}\n", ["line 1: duplicate key 'k'"]),
        ("---\na: 1\n---\nb: 2\n", ["line 3: a second document begins"]),
        (BOMB, ["line 6: aliases that expand to more than 1048576 characters"]),
        ("a: &a [*a]\n", ["line 1: an alias that is not defined above it, or contains itself"]),
        ("a: &a {x: *a}\n", ["line 1: an alias that is not defined above it, or contains itself"]),
        ("a: *nowhere\n", ["line 1: an alias that is not defined above it"]),
        ("[" * 101 + "]" * 101, ["line 1: nested deeper than 100"]),
        ("[" * 100_000, ["line 1: nested deeper than 100"]),
        ("? [a]\n: b\n", ["line 1: a key that is a list"]),
        ("a: 1\nb: !!python/object:os.system x\n", ["line 2: an unknown tag"]),
        ("a: 1\nb: !!python/object/apply:os.system ['true']\n", ["line 2: an unknown tag"]),
        ("a: !!int x\n", ["line 1: an unknown tag, or one that does not fit"]),
        ("a: !!float .nan\n", ["line 1: an unknown tag"]),
        ("a: !!timestamp 2026-11-23\n", ["line 1: an unknown tag"]),
        ("a: !secret [x]\n", ["line 1: an unknown tag"]),
        ("a: 1\n<<: 5\n", ["line 2: << takes a mapping"]),
        ("!!int 5: a\n", ["line 1: expected every key to be a string: put it into quotes"]),
        ("a: [1\nb: 2\n", [r"line 2, column \d: not YAML: .* expected"]),
        ("a: 1\n\tb: 2\n", [r"line 2, column \d: not YAML: "]),
        ("a: 1\nb: 2\na: 3\nc: [", ["line 3: duplicate key 'a'", r"line \d, column \d: not YAML: "]),
        ("a: \x00\n", ["not YAML: a character that is not allowed"]),
        ("a: \ud800\n", ["not YAML: a character that is not allowed"]),
        (b"a: \xff\n", ["not UTF-8 at byte 3"]),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(
    text: str | bytes, problems: list[str], typed: bool, library: str
) -> None:
    """With every duplicate key, and nothing of the text is built."""
    if library == "pure Python":  # its messages differ, and so do its columns
        problems = [re.sub(r", column .*", "", problem) for problem in problems]
    for expected, problem in zip(problems, problems_of(text, typed=typed), strict=True):
        assert re.match(expected, problem), problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\n1: a\n", "line 2: expected every key to be a string: put it into quotes"),
        ("true: a\n", "line 1: expected every key to be a string: put it into quotes"),
        ("? \n: a\n", "line 1: expected every key to be a string: put it into quotes"),
        ("a: 1\nb: [1e999]\n", "line 2: expected a finite number"),
        (f"a: {'9' * 5000}\n", "line 1: expected a finite number"),
    ],
)
def test_with_types_keys_are_strings_and_numbers_are_finite(text: str, problem: str, library: str) -> None:
    assert problems_of(text) == [problem]
    read_yaml(text, typed=False)


@pytest.mark.parametrize(
    "text",
    [
        "key: *hunter2\n", "key: !hunter2 x\n", "key: !hunter2!x y\n", "key: 'hunter2\n", 'key: "\\hunter2"\n',
        "\tkey: hunter2\n", "key: hunter2: b\n", "key: [hunter2\n", "key: {hunter2]\n", "key: @hunter2\n",
        "key: !!int hunter2\n", "key: |hunter2\n", "key: hunter2\n  b: c\n", "key: &hunter2\n- *b",
        "key: !<hunter2\n", 'key: !!int "hunter2"\n', "key: `hunter2\n", "key: 'a'hunter2\n", "key: !h\"u'nter2'!x\n",
    ],
)  # fmt: skip
def test_a_message_shows_no_value(text: str, library: str) -> None:
    for message in problems_of(text):
        assert not re.search("hunter2|nter2|unt", message)


@pytest.mark.parametrize("element", ["[],", "{a,b},", "x,", "'',", "? a,", "-\n", "x" * 50 + ","])
@pytest.mark.parametrize("typed", [True, False])
def test_a_long_text_without_aliases_is_never_too_much(
    element: str, typed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What weighs most for its length: empty scalars and small collections."""
    monkeypatch.setattr(yaml_reader, "_MIN_WEIGHT", 1000)
    repeated = element * 2000
    assert read_yaml(f"[{repeated}]" if "," in element else repeated, typed=typed)


def test_what_is_merged_costs_no_more_than_the_text() -> None:
    began = time.process_time()
    many = ", ".join(f"{{k{index}: v}}" for index in range(40_000))
    found: Any = read_yaml(f"{{<<: [{many}], k0: own}}")
    assert (len(found), found["k0"], found["k39999"]) == (40_000, "own", "v")
    assert time.process_time() - began < 30, "quadratic, it takes minutes"


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.text(), st.text("ab01e.:- \n[]{}&*<!#'\"|?,", max_size=60), st.binary(max_size=60)),
    st.booleans(),
)
def test_whatever_is_given_is_a_json_value_or_invalid(text: str | bytes, typed: bool) -> None:
    with contextlib.suppress(Invalid):
        pending: list[Any] = [read_yaml(text, typed=typed)]
        while pending:
            value = pending.pop()
            if isinstance(value, dict):
                assert all(isinstance(key, str) for key in value)
                pending += value.values()
            elif isinstance(value, list):
                pending += value
            else:
                assert value is None or isinstance(value, str | int | float)
                assert not isinstance(value, float) or math.isfinite(value)
