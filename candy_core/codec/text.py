"""Converts JSON text to values and back, within the limits of contract section 1."""

from __future__ import annotations

import gc
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import accumulate
from typing import NoReturn, cast

import orjson

from candy_core.errors import BadJson
from candy_core.model.task import Json

MAX_DEPTH = 100
"""How deep arrays and objects may nest."""
MAX_CONTAINERS = 1_000_000
"""The maximum of arrays and objects in one text: empty ones take twenty times the text in memory, and a task of 10 000
items has some ten thousand. Brackets in strings count as well."""


def loads(text: bytes | str) -> Json:
    """Read one JSON value.

    Raises :class:`BadJson` for text that RFC 8259 or contract section 1 does not allow: invalid UTF-8, a duplicate key,
    NaN and Infinity (written out, or as a number that is too large), a lone surrogate, and nesting deeper than
    :data:`MAX_DEPTH`. Integers keep all of their digits.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadJson(f"not UTF-8 at byte {error.start}") from None
    else:
        _reject_surrogates(text)  # an environment variable that is not UTF-8 has them
    brackets = text.count("[") + text.count("{")
    if brackets > MAX_CONTAINERS:
        raise BadJson(f"more than {MAX_CONTAINERS} arrays and objects")
    try:
        with _without_garbage_collector() if len(text) > _LARGE else nullcontext():
            value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise BadJson(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise BadJson(f"nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:  # raised by the hooks below, and for extremely long integers
        raise BadJson(f"not JSON: {str(error)[:200]}") from None
    if brackets > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise BadJson(f"nested deeper than {MAX_DEPTH}")
    if _SURROGATE.search(text):
        _reject_surrogates(value)
    return cast("Json", value)


def dumps(value: Json, *, sort_keys: bool = False) -> bytes:
    """Write a JSON value as UTF-8, without escaping non-ASCII. Raises ``TypeError`` for other values.

    Values that JSON cannot express must not stop a result: NaN and the infinities become ``null``, a lone surrogate
    ``?``.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None)
    except TypeError:  # an integer of more than 64 bits, or a lone surrogate
        try:
            text = json.dumps(_finite(value), ensure_ascii=False, sort_keys=sort_keys, separators=(",", ":"))
        except RecursionError:
            raise TypeError("a value that is nested too deeply, or contains itself") from None
        return text.encode("utf-8", "replace")


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


_LARGE = 64 * 1024


@contextmanager
def _without_garbage_collector() -> Iterator[None]:
    """Turn garbage collection off: JSON has no cycles, and a search after every 700 lists takes most of the time.

    Measured with 14 MB of lists: 4.4 s with it, 0.5 s without. No request may delay the others for so long.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key {json.dumps(key)[:80]}")
            seen.add(key)
    return result


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"[{]}")))


def _depth(text: str) -> int:
    """The nesting depth of a JSON text, without a step of Python for each value, since the text may be hostile."""
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    outside = "".join(text.split('"')[::2])  # of strings
    steps = outside.encode("ascii", "ignore").translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def _reject_surrogates(value: object) -> None:
    pending: list[object] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            try:
                item.encode("utf-8")
            except UnicodeEncodeError:
                raise BadJson("not JSON: a string holds a lone surrogate") from None
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            pending.extend(item.keys())
            pending.extend(item.values())
