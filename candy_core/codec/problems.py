"""Converts errors of cattrs to problems with JSON paths."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import attrs
import cattrs
from cattrs.errors import AttributeValidationNote

from candy_core.codec.kinds import key_of
from candy_core.errors import Problem

MAX_PROBLEMS = 10_000
"""The maximum of reported problems of one input. Only hostile input has more, and a million take a gigabyte."""
_MAX_HINTS = 20
"""An object with more unknown keys than this gets no hints: it is not a typing error, and hints take long to find."""
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Mismatch(ValueError):
    """A value is wrong. The message says what was expected, and never what was given."""


def problems_of(error: BaseException, path: str) -> list[Problem]:
    """Every problem in an error of cattrs, in the order of the input, with paths below ``path``.

    After :data:`MAX_PROBLEMS` a last problem says that there may be more.
    """
    found = _problems(error, path)
    problems = list(islice(found, MAX_PROBLEMS))
    if len(problems) == MAX_PROBLEMS:
        problems.append(Problem(path, f"more than {MAX_PROBLEMS} problems; the rest was not checked"))
    return problems


def _problems(error: BaseException, path: str) -> Iterator[Problem]:
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        allowed = _keys_of(error.cl)
        hints = len(error.extra_fields) <= _MAX_HINTS
        for key in sorted(map(str, error.extra_fields)):
            yield Problem(join(path, key), unknown_key(key, allowed, hint=hints))
    elif isinstance(error, BaseExceptionGroup):
        keys = _keys_by_field(error.cl) if isinstance(error, cattrs.ClassValidationError) else {}
        for inner in error.exceptions:
            yield from _problems(inner, join(path, _key_of(inner, keys)))
    elif isinstance(error, KeyError):
        yield Problem(path, "is required")
    elif isinstance(error, Mismatch):
        yield Problem(path, str(error))
    else:
        yield Problem(path, "is not what was expected here")


def unknown_key(key: str, allowed: Iterable[str], *, hint: bool = True) -> str:
    """The message for an unknown key: the nearest known key, and all of them."""
    names = sorted(allowed)
    near = difflib.get_close_matches(key, names, n=1) if hint else []
    nearest = f"did you mean {near[0]}? " if near else ""
    return f"unknown key; {nearest}allowed: {', '.join(names) or 'none'}"


def join(path: str, key: str | int | None) -> str:
    """The JSON path of a key or an index below ``path``."""
    if key is None:
        return path
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}"
    quoted = key[:80].replace("\\", "\\\\").replace("'", "\\'")
    return f"{path}['{quoted}']"


def _key_of(error: BaseException, keys: Mapping[str, str]) -> str | int | None:
    key = getattr(error, "candy_key", None)
    if isinstance(key, str | int):
        return key
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return keys.get(note.name, note.name)
    return None


def _keys_of(kind: type) -> list[str]:
    return [key_of(attribute) for attribute in attrs.fields(kind) if attribute.init]


def _keys_by_field(kind: type) -> Mapping[str, str]:
    return {attribute.name: key_of(attribute) for attribute in attrs.fields(kind)} if attrs.has(kind) else {}
