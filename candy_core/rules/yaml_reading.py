"""YAML with its text kept: what a rule file says is what it says.

``summary: No``, ``version: 1.10`` and ``id: 0x1F`` stay the texts ``No``, ``1.10`` and ``0x1F``, as Prometheus reads
them too, since it knows which of its fields are texts. Only ``null``, lists and mappings are told apart here, and what
carries an explicit tag (``!!int 10``). The values are built from the parser's events with a stack of our own: neither
depth nor aliases cost more than the text that brings them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, cast

import yaml
from attrs import define, field

from candy_core.codec import MAX_DEPTH
from candy_core.errors import Invalid, Problem
from candy_core.model.task import Json

MAX_BYTES = 512 * 1024
"""What a PrometheusRule may weigh, and so the longest text that can be a rule file."""
_MAX_WEIGHT = 2 * MAX_BYTES
"""Characters and values with every alias written out; no text of :data:`MAX_BYTES` without aliases comes near it."""
_TAG = "tag:yaml.org,2002:"
_NULLS = ("", "~", "null", "Null", "NULL")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, and not everywhere
_NOTHING: Any = object()


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("no number of JSON's")
    return number


_TAGGED: Mapping[str, Callable[[str], Any]] = {
    "!": str,
    "str": str,
    "null": lambda text: None,
    "int": int,
    "float": _finite,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
}


@define
class _Open:
    """A list or a mapping that is being read."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    line: int
    weight: int = 1
    key: Any = _NOTHING
    merging: bool = False
    merged: list[dict[str, Any]] = field(factory=list)


@define
class _Reading:
    """One document as far as it has been read."""

    path: str
    problems: list[Problem] = field(factory=list)
    stack: list[_Open] = field(factory=list)
    anchors: dict[str, tuple[Any, int]] = field(factory=dict)
    weight: int = 0
    documents: int = 0
    root: Any = None

    def take(self, event: yaml.Event) -> None:
        """One event of the parser's."""
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.refuse(line, "a second document begins; expected one")
        elif isinstance(event, yaml.ScalarEvent):
            self.add(*self.scalar(event, line), anchor=event.anchor, line=line, plain=not event.style)
        elif isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            if name not in self.anchors:
                self.refuse(line, "an alias stands inside of what it stands for, or for nothing")
            self.add(*self.anchors[name], anchor=None, line=line, plain=False)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self.open(event, line)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self.close()

    def open(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent, line: int) -> None:
        """A list or a mapping begins."""
        is_map = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if is_map else "seq")):
            self.refuse(line, "a tag that is not known")
        if len(self.stack) == MAX_DEPTH:
            self.refuse(line, f"nested deeper than {MAX_DEPTH}")
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is _NOTHING:
            self.refuse(line, "a key that is a list or a mapping; expected a text")
        self.stack.append(_Open({} if is_map else [], event.anchor, line))

    def close(self) -> None:
        """A list or a mapping ends."""
        done = self.stack.pop()
        if isinstance(done.value, dict):
            for merged in done.merged:
                done.value = done.value | {key: value for key, value in merged.items() if key not in done.value}
        self.weight -= done.weight  # counted again by add
        self.add(done.value, done.weight, anchor=done.anchor, line=done.line, plain=False)

    def add(self, value: Any, weight: int, *, anchor: str | None, line: int, plain: bool) -> None:
        """A value is complete; it goes to where it belongs."""
        if anchor is not None:
            self.anchors[anchor] = (value, weight)
        self.weight += weight
        if self.weight > _MAX_WEIGHT:
            self.refuse(line, "its aliases, written out, make more of it than a rule file may be")
        if not self.stack:
            self.root = value
            return
        parent = self.stack[-1]
        parent.weight += weight
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is _NOTHING:
            self.begin_key(parent, value, line, plain)
        elif parent.merging:
            self.merge(parent, value, line)
        else:
            parent.value[parent.key] = value
            parent.key = _NOTHING

    def begin_key(self, parent: _Open, key: Any, line: int, plain: bool) -> None:
        """A key of a mapping."""
        if key is None:
            key = ""
        if not isinstance(key, str):
            self.refuse(line, "a key that is no text")
        parent.merging = plain and key == "<<"
        if not parent.merging and key in cast("dict[str, Any]", parent.value):
            self.tell(line, f"the key {key[:80]!r} stands twice")
        parent.key = key

    def merge(self, parent: _Open, value: Any, line: int) -> None:
        """What ``<<`` brings in: a mapping, or a list of them, the first before the later."""
        merged = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in merged):
            self.refuse(line, "<< takes a mapping, or a list of mappings")
        parent.merged += merged
        parent.key, parent.merging = _NOTHING, False

    def scalar(self, event: yaml.ScalarEvent, line: int) -> tuple[Any, int]:
        """A value that is neither list nor mapping, and its weight."""
        text = str(event.value)
        weight = len(text) + 1
        is_key = bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is _NOTHING
        if event.tag is None:
            is_null = not event.style and text in _NULLS and not (is_key and text)
            return (None if is_null else text), weight
        try:
            return _TAGGED[event.tag.removeprefix(_TAG)](text), weight
        except (ValueError, KeyError):
            self.refuse(line, "a tag that is not known, or does not fit what it stands before")

    def tell(self, line: int, what: str) -> None:
        """Note a problem, and go on."""
        self.problems.append(Problem(self.path, f"line {line}: {what}"))

    def refuse(self, line: int, what: str) -> NoReturn:
        """Note a problem, and give up."""
        self.tell(line, what)
        raise Invalid(self.problems)


def read_yaml(text: str, *, path: str) -> Json:
    """One YAML document as a JSON value with its text kept; an empty one is ``None``.

    Raises :class:`Invalid` with problems at ``path`` that name the line: no YAML, a repeated key, more than one
    document, nesting deeper than :data:`~candy_core.codec.MAX_DEPTH`, aliases that explode or stand inside of
    themselves, a key that is no text, an unknown tag.
    """
    reading = _Reading(path)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reading.take(event)
    except yaml.YAMLError as error:
        raise Invalid([*reading.problems, Problem(path, f"not YAML: {_why(error)}")]) from None
    if reading.problems:
        raise Invalid(reading.problems)
    return cast("Json", reading.root)


def _why(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or "a character that may not stand in it"
    return f"{what} at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else str(what)
