"""Converts JSON values to records, and reports every problem with its path.

There are three readers. :data:`request_reader` accepts only values of the right type and no unknown keys.
:data:`params_reader` reads item params and settings, where every value may also be a string (contract section 1).
:data:`tolerant_reader` reads responses of other servers and ignores unknown keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin

import cattrs
from cattrs.gen import make_dict_structure_fn
from msgspec import Meta

from candy_core.codec.bounds import check
from candy_core.codec.kinds import (
    SEQUENCES,
    is_annotated,
    is_literal,
    is_mapping,
    is_parsable,
    is_record,
    is_row,
    is_sequence,
    is_union,
    renames,
    unannotated,
)
from candy_core.codec.problems import MAX_PROBLEMS, Mismatch, problems_of
from candy_core.codec.text import loads
from candy_core.errors import BadJson, Invalid
from candy_core.model.secret import Secret
from candy_core.model.task import Json

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]  # cattrs' own signature: (value, type) -> structured

_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Reader:
    """Converts JSON values to records. ``lenient``: other types may be strings. ``closed``: no unknown keys."""

    def __init__(self, *, lenient: bool, closed: bool) -> None:
        self._lenient = lenient
        self._closed = closed
        self._converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=closed)
        self._register()

    def read(self, value: Json, kind: type[T], *, path: str = "$") -> T:
        """Convert ``value`` to ``kind``. Raises :class:`Invalid` with every problem; the paths start with ``path``."""
        try:
            return self._converter.structure(value, kind)
        except (cattrs.BaseValidationError, Mismatch, KeyError, ValueError, TypeError) as error:
            raise Invalid(problems_of(error, path)) from None

    def _register(self) -> None:
        converter = self._converter
        for kind, hook in (
            (str, _string),
            (int, self._integer),
            (float, self._number),
            (bool, self._boolean),
            (datetime, _moment),
            (Path, lambda value, _: Path(_string(value, str))),
            (Secret, lambda value, _: Secret(_string(value, str))),
        ):
            converter.register_structure_hook(kind, _or_parsed(kind, hook))
        for base in (Enum, StrEnum, IntEnum):  # each by name, since cattrs would dispatch to ``str`` before ``Enum``
            converter.register_structure_hook(base, _or_parsed(base, self._member))
        converter.register_structure_hook_factory(is_literal, self._literals)
        converter.register_structure_hook_factory(is_sequence, self._sequence)
        converter.register_structure_hook_factory(is_row, self._row)
        converter.register_structure_hook_factory(is_mapping, self._mapping)
        converter.register_structure_hook_factory(is_union, self._union)
        converter.register_structure_hook_factory(is_record, self._record)
        converter.register_structure_hook_factory(is_annotated, self._bounded)
        converter.register_structure_hook_func(is_parsable, _parsed)

    def _integer(self, value: object, _: object) -> int:
        if self._lenient and isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Mismatch("expected an integer")
        if value not in _INT64:
            raise Mismatch("expected an integer of at most 64 bits")
        return value

    def _number(self, value: object, _: object) -> float:
        if self._lenient and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Mismatch("expected a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise Mismatch("expected a finite number")
        return number

    def _boolean(self, value: object, _: object) -> bool:
        if self._lenient and isinstance(value, str) and value.strip().lower() in _WORDS:
            return _WORDS[value.strip().lower()]
        if not isinstance(value, bool):
            raise Mismatch("expected true or false")
        return value

    def _from_text(self, value: object, opening: str, what: str) -> object:
        """A list or an object that was given as JSON text, if the reader allows that."""
        if self._lenient and isinstance(value, str) and value.lstrip().startswith(opening):
            try:
                return loads(value)
            except BadJson as error:
                raise Mismatch(f"expected {what} or its JSON text, and this text is {error}") from None
        return value

    def _sequence(self, kind: Any) -> Hook:
        inner = (get_args(kind) or (Any,))[0]
        words = self._lenient and inner is not Any
        inner_hook = self._converter.get_structure_hook(inner)
        make = SEQUENCES[get_origin(kind) or kind]

        def structure(value: Any, _: Any) -> Collection[Any]:
            value = self._from_text(value, "[", "a list")
            if words and isinstance(value, str):
                value = [word.strip() for word in value.split(",") if word.strip()]
            if not isinstance(value, list | tuple):
                raise Mismatch("expected a list")
            return make(_each(enumerate(value), inner_hook, inner))

        return structure

    def _row(self, kind: Any) -> Hook:
        kinds = get_args(kind)
        hooks = [self._converter.get_structure_hook(inner) for inner in kinds]

        def structure(value: Any, _: Any) -> tuple[Any, ...]:
            value = self._from_text(value, "[", "a list")
            if not isinstance(value, list | tuple) or len(value) != len(kinds):
                raise Mismatch(f"expected a list of {len(kinds)} element(s)")
            each = zip(hooks, value, kinds, strict=True)
            return tuple(_each(enumerate(each), lambda call, _: call[0](*call[1:]), None))

        return structure

    def _mapping(self, kind: Any) -> Hook:
        inner = (get_args(kind) or (str, Any))[1]
        inner_hook = self._converter.get_structure_hook(inner)

        def structure(value: Any, _: Any) -> dict[str, Any]:
            value = self._from_text(value, "{", "an object")
            if not isinstance(value, Mapping):
                raise Mismatch("expected an object")
            if inner is Any:
                return dict(value)
            return dict(zip(value, _each(value.items(), inner_hook, inner), strict=True))

        return structure

    def _union(self, kind: Any) -> Hook:
        kinds = [inner for inner in get_args(kind) if inner is not type(None)]
        optional = len(kinds) < len(get_args(kind))
        # Strings last: with a lenient reader the other types also read strings.
        ordered = sorted(kinds, key=lambda inner: (unannotated(inner) is str, unannotated(inner) is float))
        hooks = [(self._converter.get_structure_hook(inner), inner) for inner in ordered]
        text = next((inner for inner in ordered if unannotated(inner) is str), None)

        def structure(value: Any, _: Any) -> Any:
            if value is None and optional:
                return None
            if len(hooks) == 1:
                return hooks[0][0](value, hooks[0][1])
            expected = []
            for hook, inner in hooks:
                if isinstance(value, str) and text is not None and inner is not text:
                    continue
                try:
                    return hook(value, inner)
                except Mismatch as error:
                    expected.append(str(error).removeprefix("expected "))
            raise Mismatch("expected " + " or ".join(expected or ["a string"]))

        return structure

    def _member(self, value: Any, kind: type[Enum]) -> Any:
        return _members(kind, self._lenient)(value, kind)

    def _literals(self, kind: Any) -> Hook:
        return _choice({value: value for value in get_args(kind)}, self._lenient)

    def _record(self, kind: Any) -> Hook:
        generated = make_dict_structure_fn(
            kind, self._converter, _cattrs_forbid_extra_keys=self._closed, **renames(kind)
        )

        def structure(value: Any, _: Any) -> Any:
            value = self._from_text(value, "{", "an object")
            if not isinstance(value, Mapping):
                raise Mismatch("expected an object")
            return generated(value, kind)

        return structure

    def _bounded(self, kind: Any) -> Hook:
        inner, *metadata = get_args(kind)
        bounds = [meta for meta in metadata if isinstance(meta, Meta)]
        hook = self._converter.get_structure_hook(inner)

        def structure(value: Any, _: Any) -> Any:
            for meta in bounds:
                if isinstance(value, list) and meta.max_length is not None:
                    check(value, Meta(max_length=meta.max_length))  # before millions of elements are read
            result = hook(value, inner)
            for meta in bounds:
                check(result, meta)
            return result

        return structure


def _each(pairs: Any, hook: Hook, inner: Any) -> list[Any]:
    """Structure every value of ``(key, value)`` pairs, and raise all of their errors together."""
    results = []
    errors: list[Exception] = []
    for key, value in pairs:
        try:
            results.append(hook(value, inner))
        except Exception as error:  # noqa: BLE001  # collected, and raised below as a group
            cast("Any", error).candy_key = key
            errors.append(error)
            if len(errors) == MAX_PROBLEMS:
                break
    if errors:
        raise cattrs.IterableValidationError("entries", errors, tuple)
    return results


def _or_parsed(base: type, hook: Hook) -> Hook:
    """The hook of a base class, which cattrs also uses for subclasses. A subclass with ``parse`` uses that instead."""

    def structure(value: Any, kind: Any) -> Any:
        if kind is not base and hasattr(kind, "parse"):
            return _parsed(value, kind)
        return hook(value, kind)

    return structure


def _string(value: object, _: object) -> str:
    if not isinstance(value, str):
        raise Mismatch("expected a string")
    return value


def _moment(value: object, _: object) -> datetime:
    try:
        moment = datetime.fromisoformat(_string(value, str))
    except ValueError:
        raise Mismatch("expected a time in RFC 3339 format") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@cache
def _members(kind: type[Enum], lenient: bool) -> Hook:
    return _choice({member.value: member for member in kind}, lenient)


def _choice(choices: Mapping[Any, Any], lenient: bool) -> Hook:
    names = ", ".join(str(name) for name in choices)
    # With the type, since 1, 1.0 and true are the same key in Python.
    typed = {(type(name), name): choice for name, choice in choices.items()}
    if lenient:
        typed = {(str, str(name)): choice for name, choice in choices.items()} | typed

    def structure(value: Any, _: Any) -> Any:
        try:
            return typed[type(value), value]
        except (KeyError, TypeError):
            raise Mismatch(f"expected one of {names}") from None

    return structure


def _parsed(value: Any, kind: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Mismatch("expected a string or a number")
    try:
        return kind.parse(str(value))
    except ValueError as error:
        raise Mismatch(str(error)) from None


request_reader = Reader(lenient=False, closed=True)
params_reader = Reader(lenient=True, closed=True)
tolerant_reader = Reader(lenient=False, closed=False)
