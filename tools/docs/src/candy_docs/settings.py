"""Tables of settings, made from the settings classes of the core and of every installed plugin."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

from candy_core import HttpUrl, Secret, to_json
from candy_core.codec.kinds import is_annotated, is_mapping, is_record, is_sequence, key_of
from candy_core.config import Address, Settings
from candy_core.config.configuration import core_variables
from candy_core.config.secret_files import secret_keys
from candy_core.config.settings import ByteSize
from candy_core.hosting.plugin_settings import settings_classes
from candy_core.registry import discover

CORE = "core"
MISSING = "TODO"
"""The meaning of a row that nobody has written yet."""

_LONGEST = 60
_SEPARATOR = re.compile(r"(?<!\\)\|")

_KINDS: Mapping[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    Path: "file",
    Secret: "secret",
    HttpUrl: "URL",
    Address: "address",
    ByteSize: "bytes",
}


@frozen
class Setting:
    """One row. ``variables`` are those of the environment, the first the usual one; ``default`` as one writes it."""

    key: str
    variables: tuple[str, ...]
    kind: str
    default: str


def sections() -> dict[str, tuple[Setting, ...]]:
    """Every setting: of the core under :data:`CORE`, of each installed plugin under its name."""
    found: dict[str, tuple[Setting, ...]] = {CORE: tuple(_settings(Settings, None))}
    for plugin, classes in sorted(settings_classes(discover()).items()):
        rows = {row.key: row for kind in classes for row in _settings(kind, plugin)}
        found[plugin] = tuple(rows.values())
    return found


def table(rows: tuple[Setting, ...], present: str) -> str:
    """The table of these settings, with the heading and the meanings that ``present`` has."""
    lines = present.strip().splitlines()
    head = lines[:2] if len(lines) >= 2 else ["| key | variable | type | default | meaning |", "|---|---|---|---|---|"]
    known = meanings(present)
    return "\n".join([*head, *(_row(row, known.get(row.key, MISSING)) for row in rows)]) + "\n"


def meanings(present: str) -> dict[str, str]:
    """What the last column of a table says, by key."""
    cells = [_SEPARATOR.split(line.strip().strip("|")) for line in present.strip().splitlines()[2:]]
    return {row[0].strip().strip("`"): row[4].strip() for row in cells if len(row) >= 5}


def _row(row: Setting, meaning: str) -> str:
    variables = ", ".join(f"`{name}`" for name in row.variables)
    return f"| `{row.key}` | {variables} | {row.kind} | {row.default} | {meaning} |"


def _settings(record: type[Any], plugin: str | None) -> Iterator[Setting]:
    hints = get_type_hints(record, include_extras=True)
    secrets = {name.removesuffix("_file") for name in secret_keys(record)}
    for field in attrs.fields(record):
        if not field.init:
            continue
        key = key_of(field)
        variables = core_variables(key) if plugin is None else (f"CANDY_{plugin.upper()}_{key.upper()}",)
        if key in secrets:
            variables = (*variables, f"{variables[0]}_FILE")
        yield Setting(key, variables, _kind(hints[field.name]), _default(field))


def _kind(hint: Any) -> str:
    if is_annotated(hint):
        return _kind(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return _kind(next(inner for inner in get_args(hint) if inner is not type(None)))
    if get_origin(hint) == Literal:
        return "one of " + ", ".join(f"`{value}`" for value in get_args(hint))
    if hint in _KINDS:
        return _KINDS[hint]
    if is_sequence(hint):
        return "list"
    if is_mapping(hint):
        return "mapping"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(f"`{member.value}`" for member in hint)
    return "section" if is_record(hint) else "text"


def _default(field: attrs.Attribute[Any]) -> str:
    value: Any = field.default
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]  # a class, which attrs' stubs have as a function
        value = value.factory()
    plain = str(value) if isinstance(value, ByteSize) else to_json(value)
    if plain in (None, "", [], {}) or (attrs.has(type(value)) and not hasattr(value, "parse")):
        return ""
    if isinstance(plain, list):
        return "`" + ",".join(map(str, plain)) + "`"
    if isinstance(plain, bool):
        return f"`{str(plain).lower()}`"
    text = f"{plain:g}" if isinstance(plain, float) else str(plain)
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return "`" + text.replace("|", "\\|") + "`"
