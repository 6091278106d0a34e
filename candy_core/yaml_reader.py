"""Reads every YAML text: configuration, API keys, command templates, kubeconfigs and rule files.

It builds values from the parser's events with its own stack, so that a short text cannot cause deep recursion or a huge
value. It rejects what JSON does not allow, and duplicate keys, of which most readers silently keep the last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, cast

import yaml
from attrs import define, field

from candy_core.codec import MAX_DEPTH
from candy_core.errors import Invalid, Problem
from candy_core.model.task import Json

_MIN_WEIGHT = 1 << 20
"""The number of values and characters with aliases expanded that every text may have. A longer text may have twice its
length, which no text without aliases reaches."""
_TAG = "tag:yaml.org,2002:"
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"0|[-+]?[1-9][0-9]*")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")
_QUOTED = re.compile(r"""(['"])(.*?)\1""", re.DOTALL)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, but optional
_NO_KEY: Any = object()


def read_yaml(text: str | bytes, *, path: str = "$", typed: bool = True) -> Json:
    """Read one YAML document, JSON included, as a JSON value. An empty document is ``None``; bytes must be UTF-8.

    With ``typed`` plain scalars have the types of YAML 1.2's core schema: ``null``, ``true``, ``false`` and decimal
    numbers. Everything else is a string: ``no``, ``12:30``, ``007``, ``0x1F``, ``2026-11-23``. Without ``typed`` only
    ``null`` is not a string, for readers that know the types of their fields themselves. An explicit tag
    (``!!int 10``) has its type in both cases.

    Raises :class:`Invalid` whose problems are at ``path`` (a file's name, for example) and name the line: a syntax
    error, a duplicate key, a key that is not a string, more than one document, nesting deeper than 100, aliases that
    are undefined, contain themselves or expand to too much, a number that is not finite, an unknown tag. Messages
    contain keys, but no values.
    """
    document = _Document(path, typed)
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        document.max_weight = max(_MIN_WEIGHT, 2 * len(text))
        for event in yaml.parse(text, Loader=_LOADER):
            document.take(event)
    except UnicodeDecodeError as error:
        raise Invalid([Problem(path, f"not UTF-8 at byte {error.start}")]) from None
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise Invalid([*document.problems, Problem(path, _syntax_error(error))]) from None
    if document.problems:
        raise Invalid(document.problems)
    return cast("Json", document.root)


@define
class _Collection:
    """A list or a mapping that is being read."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    line: int
    weight: int = 1
    key: Any = _NO_KEY
    merging: bool = False
    merged: list[dict[str, Any]] = field(factory=list)

    @property
    def expects_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is _NO_KEY


@define
class _Document:
    """A document that is being read."""

    path: str
    typed: bool
    max_weight: int = 0
    problems: list[Problem] = field(factory=list)
    stack: list[_Collection] = field(factory=list)
    anchors: dict[str, tuple[Any, int]] = field(factory=dict)
    weight: int = 0
    documents: int = 0
    root: Any = None

    def take(self, event: yaml.Event) -> None:
        """Process one event of the parser."""
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.refuse(line, "a second document begins; expected one")
        elif isinstance(event, yaml.ScalarEvent):
            value, weight = self.scalar(event, line), len(event.value) + 1
            self.add(value, weight, anchor=event.anchor, line=line, plain=not event.style)
        elif isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            if name not in self.anchors:
                self.refuse(line, "an alias that is not defined above it, or contains itself")
            self.add(*self.anchors[name], anchor=None, line=line, plain=False)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self.open(event, line)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self.close()

    def open(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent, line: int) -> None:
        """A list or a mapping begins."""
        is_map = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if is_map else "seq")):
            self.refuse(line, "an unknown tag")
        if len(self.stack) == MAX_DEPTH:
            self.refuse(line, f"nested deeper than {MAX_DEPTH}")
        if self.stack and self.stack[-1].expects_key:
            self.refuse(line, "a key that is a list or a mapping; expected a string")
        self.stack.append(_Collection({} if is_map else [], event.anchor, line))

    def close(self) -> None:
        """A list or a mapping ends."""
        done = self.stack.pop()
        if isinstance(done.value, dict):
            for merged in done.merged:
                for key, value in merged.items():
                    done.value.setdefault(key, value)
        self.weight -= done.weight  # counted again by add
        self.add(done.value, done.weight, anchor=done.anchor, line=done.line, plain=False)

    def add(self, value: Any, weight: int, *, anchor: str | None, line: int, plain: bool) -> None:
        """Put a complete value where it belongs."""
        if anchor is not None:
            self.anchors[anchor] = (value, weight)
        self.weight += weight
        if self.weight > self.max_weight:
            self.refuse(line, f"aliases that expand to more than {self.max_weight} characters")
        if not self.stack:
            self.root = value
            return
        parent = self.stack[-1]
        parent.weight += weight
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is _NO_KEY:
            self.begin_key(parent, value, line, plain)
        elif parent.merging:
            self.merge(parent, value, line)
        else:
            parent.value[parent.key] = value
            parent.key = _NO_KEY

    def begin_key(self, parent: _Collection, key: Any, line: int, plain: bool) -> None:
        """A key of a mapping."""
        if not isinstance(key, str):
            self.refuse(line, "expected every key to be a string: put it into quotes")
        parent.merging = plain and key == "<<"
        if not parent.merging and key in cast("dict[str, Any]", parent.value):
            self.report(line, f"duplicate key {key[:80]!r}")
        parent.key = key

    def merge(self, parent: _Collection, value: Any, line: int) -> None:
        """Add the mapping of ``<<``, or its list of mappings, where earlier ones take precedence."""
        merged = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in merged):
            self.refuse(line, "<< takes a mapping, or a list of mappings")
        parent.merged += merged
        parent.key, parent.merging = _NO_KEY, False

    def scalar(self, event: yaml.ScalarEvent, line: int) -> Any:
        """The value of a scalar."""
        text = str(event.value)
        if event.tag is not None:
            try:
                return _TAGGED[event.tag.removeprefix(_TAG)](text)
            except (ValueError, KeyError):
                self.refuse(line, "an unknown tag, or one that does not fit its value")
        if event.style:
            return text
        if not self.typed:
            return None if text in _NULLS and not (self.stack and self.stack[-1].expects_key) else text
        try:
            return _typed(text)
        except ValueError:
            self.refuse(line, "expected a finite number")

    def report(self, line: int, message: str) -> None:
        """Note a problem and go on."""
        self.problems.append(Problem(self.path, f"line {line}: {message}"))

    def refuse(self, line: int, message: str) -> NoReturn:
        """Note a problem and stop."""
        self.report(line, message)
        raise Invalid(self.problems)


def _typed(text: str) -> Any:
    """The value of a plain scalar. Raises ``ValueError`` for a number that is too large."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text)
    return _finite(text) if _FLOAT.fullmatch(text) else text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a number in JSON")
    return number


_TAGGED: Mapping[str, Callable[[str], Any]] = {
    "!": str,
    "str": str,
    "null": lambda text: None,
    "int": int,
    "float": _finite,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
}


def _syntax_error(error: Exception) -> str:
    problem = getattr(error, "problem", None)
    if problem is None:
        return "not YAML: a character that is not allowed"
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    # A single character is most often punctuation that was expected; anything longer may come from the text.
    shown = _QUOTED.sub(lambda quoted: quoted[0] if len(quoted[2]) == 1 else "…", problem)
    return f"{where}not YAML: {shown}"
