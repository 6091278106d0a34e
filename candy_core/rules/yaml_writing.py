"""Writes JSON values as YAML that every reader, with types or without, reads back equal.

A string that looks like another type (``No``, ``1.10``, ``2026-11-23``) is quoted. One with several lines becomes a
literal block where YAML allows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from candy_core.model.task import Json

_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_RESOLVER: Any = yaml.SafeDumper(None)  # type: ignore[arg-type]  # knows which plain scalars are not strings in YAML 1.1
_TAG = "tag:yaml.org,2002:"
_WIDE = 1 << 20  # no line is folded: an expression stays on one line
_OTHERS = re.compile(
    r"""[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)
    |y|Y|n|N|[-+.0-9][-+.:_0-9eE]*""",
    re.VERBOSE,
)
"""Further plain scalars that YAML 1.2, or another reader of YAML 1.1 than PyYAML, does not read as strings."""


def write_yaml(value: Json, *, tagged: bool) -> str:
    """``value`` as YAML. With ``tagged`` numbers and booleans carry their tag (``!!int 10``).

    :func:`~candy_core.yaml_reader.read_yaml` without types gives back the equal value if it is tagged. If it is not,
    numbers and booleans come back as strings, for a reader that knows which of its fields they are.
    """
    return str(yaml.emit(_document(value, tagged), Dumper=_DUMPER, width=_WIDE, allow_unicode=True))


def _document(value: Json, tagged: bool) -> Iterator[yaml.Event]:
    yield yaml.StreamStartEvent()
    yield yaml.DocumentStartEvent(explicit=False)
    yield from _value(value, tagged)
    yield yaml.DocumentEndEvent(explicit=False)
    yield yaml.StreamEndEvent()


def _value(value: object, tagged: bool) -> Iterator[yaml.Event]:
    if isinstance(value, Mapping):
        yield yaml.MappingStartEvent(None, None, True, flow_style=not value)
        for key, inner in value.items():
            yield _string(str(key), key=True)
            yield from _value(inner, tagged)
        yield yaml.MappingEndEvent()
    elif isinstance(value, list | tuple):
        yield yaml.SequenceStartEvent(None, None, True, flow_style=not value)
        for inner in value:
            yield from _value(inner, tagged)
        yield yaml.SequenceEndEvent()
    elif isinstance(value, str):
        yield _string(value)
    elif value is None:
        yield yaml.ScalarEvent(None, None, (True, True), "null")
    else:
        kind, text = _plain(value)
        yield yaml.ScalarEvent(None, _TAG + kind if tagged else None, (not tagged, not tagged), text)


def _plain(value: object) -> tuple[str, str]:
    if isinstance(value, bool):
        return "bool", "true" if value else "false"
    return ("int" if isinstance(value, int) else "float"), repr(value)


def _string(text: str, *, key: bool = False) -> yaml.ScalarEvent:
    style = _style(text)
    return yaml.ScalarEvent(None, None, (True, True), text, style='"' if key and style == "|" else style)


def _style(text: str) -> str | None:
    """Plain, quoted or a literal block. The emitter itself quotes what the grammar of YAML does not allow plain."""
    if not text.replace("\n", "").isprintable():
        return '"'
    if "\n" in text:
        lines = text.rstrip("\n").split("\n")
        block = lines[0][:1] not in ("", " ") and not any(line.endswith(" ") for line in lines)
        return "|" if block else '"'
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
    return "'" if tag != _TAG + "str" or _OTHERS.fullmatch(text) else None
