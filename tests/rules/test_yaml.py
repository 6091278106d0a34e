"""Values written as YAML read back equal."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candy_core import yaml_reader
from candy_core.rules import yaml_writing
from candy_core.rules.yaml_writing import write_yaml
from candy_core.yaml_reader import read_yaml

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
    """A rule that is read and sent back is the same rule (contract §5: 'content comes back as … YAML')."""
    assert read_yaml(write_yaml(value, tagged=True), typed=False) == value


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_a_string_stays_a_string_for_readers_with_types(text: str) -> None:
    """PyYAML and Prometheus read the same values from an export."""
    assert yaml.safe_load(write_yaml({text: [text]}, tagged=False)) == {text: [text]}


@pytest.mark.parametrize("library", ["libyaml", "pure Python"])
@pytest.mark.parametrize("text", TRICKY)
def test_without_libyaml_it_is_the_same(text: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loader, dumper = (yaml.SafeLoader, yaml.SafeDumper) if library == "pure Python" else (None, None)
    used = yaml_reader._LOADER, yaml_writing._DUMPER
    assert used == (yaml.CSafeLoader, yaml.CSafeDumper), "the fast ones are used where they are installed"
    written = yaml.emit(list(yaml.parse(write_yaml([text], tagged=False))), Dumper=dumper or yaml.CSafeDumper)
    monkeypatch.setattr(yaml_reader, "_LOADER", loader or yaml.CSafeLoader)
    assert read_yaml(written, typed=False) == [text]
