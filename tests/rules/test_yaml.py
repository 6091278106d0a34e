"""YAML with its text kept, and values that read back equal."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candy_core.errors import Invalid
from candy_core.rules import yaml_reading, yaml_writing
from candy_core.rules.yaml_reading import read_yaml
from candy_core.rules.yaml_writing import write_yaml

TRICKY = [
    "No", "yes", "on", "y", "true", "null", "~", "", "1.10", "0x1F", "0o17", "1_000", "5e3", "1e3", ".5", "+1",
    "-.inf", "2026-11-23", "12:30:45", "<<", "=", "- a", "# no comment", "a: b", "a #b", "'", '"', "\\", "a\n", "a\n\n",
    "\n", "\na", "a\nb", "  a\nb", "a \nb", "a\n b\n", "\t", "a\tb", "\u2028", "\x85", "\ufeff", "\x00", "é😀", "😀\nb",
    "{{ $value }}", "[a]", "{a}", "&a", "*a", "!a", "%a", "@a", "`a`", "|", ">", "?", "---", "...", "x" * 200,
]  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.text("ab01:#-|>.\n '\"\\{}[]&*!%@`,?~=<\t", max_size=30),
    st.sampled_from(TRICKY),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
@example(TRICKY)
@example({text: text for text in TRICKY})
def test_any_json_value_is_written_and_read_back_equal(value: Any) -> None:
    """So a rule that is read and sent back is the same rule (contract §5: 'content comes back as … YAML')."""
    assert read_yaml(write_yaml(value, tagged=True), path="$") == value


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_a_text_stays_a_text_for_readers_that_know_types(text: str) -> None:
    """A team that loads the export with PyYAML, or Prometheus itself, sees the same."""
    assert yaml.safe_load(write_yaml({text: [text]}, tagged=False)) == {text: [text]}


@pytest.mark.parametrize("library", ["libyaml", "pure Python"])
@pytest.mark.parametrize("text", TRICKY)
def test_without_libyaml_it_is_the_same(text: str, library: str) -> None:
    loader, dumper = (yaml.SafeLoader, yaml.SafeDumper) if library == "pure Python" else (None, None)
    before = yaml_reading._LOADER, yaml_writing._DUMPER
    assert before == (yaml.CSafeLoader, yaml.CSafeDumper), "the fast ones are used where they can be had"
    written = yaml.emit(list(yaml.parse(write_yaml([text], tagged=False))), Dumper=dumper or yaml.CSafeDumper)
    reading = yaml_reading._Reading("$")
    for event in yaml.parse(written, Loader=loader or yaml.CSafeLoader):
        reading.take(event)
    assert reading.root == [text]


def test_what_a_rule_file_says_is_what_it_says() -> None:
    """Lessons: '`summary: No` is a boolean in YAML'. Prometheus reads a text there, and so do we."""
    text = "summary: No\nversion: 1.10\nid: 0x1F\nday: 2026-11-23\nnothing: null\nempty:\nquoted: 'null'\n"
    text += "list: [1, true]\n"
    assert read_yaml(text, path="$") == {
        "summary": "No", "version": "1.10", "id": "0x1F", "day": "2026-11-23", "nothing": None, "empty": None,
        "quoted": "null", "list": ["1", "true"],
    }  # fmt: skip


def test_tags_anchors_and_merges_are_read() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\nd: {<<: [*a, {z: 4, x: 9}]}\n"
    text += "e: [!!int 10, !!float 1.5, !!bool true, !!str 5, !!null '']\n"
    assert read_yaml(text, path="$") == {
        "a": {"x": "1", "y": "2"}, "b": {"x": "1", "y": "3"}, "c": {"x": "1", "y": "2"},
        "d": {"x": "1", "y": "2", "z": "4"}, "e": [10, 1.5, True, "5", None],
    }  # fmt: skip


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\nb: 2\na: 3\nb: 4\n", ["line 3: the key 'a' stands twice", "line 4: the key 'b' stands twice"]),
        ("---\na: 1\n---\nb: 2\n", ["line 3: a second document begins"]),
        (BOMB, ["line 6: its aliases"]),
        ("a: &a [*a]\n", ["line 1: an alias stands inside"]),
        ("a: *nowhere\n", ["line 1: (an alias|not YAML)|not YAML"]),
        ("[" * 101 + "]" * 101, ["line 1: nested deeper than 100"]),
        ("[" * 100_000, ["line 1: nested deeper than 100"]),
        ("? [a]\n: b\n", ["line 1: a key that is a list"]),
        ("a: 1\nb: !!python/object:os.system x\n", ["line 2: a tag that is not known"]),
        ("a: !!int x\n", ["line 1: a tag that is not known, or does not fit"]),
        ("a: !!float .nan\n", ["line 1: a tag"]),
        ("a: !secret [x]\n", ["line 1: a tag that is not known"]),
        ("a: 1\n<<: 5\n", ["line 2: << takes a mapping"]),
        ("a: [1\nb: 2\n", ["not YAML: .* at line 2"]),
        ("a: 1\n\tb: 2\n", ["not YAML: .* at line 2"]),
        ("a: \x00\n", ["not YAML"]),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(text: str, problems: list[str]) -> None:
    """Dispatcher numbers, and every repeated key; nothing of it is built."""
    with pytest.raises(Invalid) as caught:
        read_yaml(text, path="$.content")
    assert {problem.path for problem in caught.value.problems} == {"$.content"}
    for expected, problem in zip(problems, caught.value.problems, strict=True):
        assert re.match(expected, problem.message), problem


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.text("ab:- \n[]{}&*<!#'\"|?,", max_size=60)))
def test_whatever_comes_in_is_a_value_or_a_refusal(text: str) -> None:
    with contextlib.suppress(Invalid):
        read_yaml(text, path="$")
