"""Converts records to JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_unstructure_fn

from candy_core.codec.kinds import renames
from candy_core.codec.text import dumps
from candy_core.model.secret import Secret
from candy_core.model.task import Json

if TYPE_CHECKING:
    from collections.abc import Callable


def rfc3339(moment: datetime) -> str:
    """A time as in contract section 1: RFC 3339, UTC, ``Z``, with milliseconds if they are not zero."""
    utc = moment.astimezone(UTC)
    text = utc.strftime("%Y-%m-%dT%H:%M:%S")
    milliseconds = utc.microsecond // 1000
    return f"{text}.{milliseconds:03d}Z" if milliseconds else f"{text}Z"


def to_json(record: object, *, drop_none: bool = False) -> Json:
    """Convert a record, or a container of records, to a JSON value.

    Secrets are masked. With ``drop_none`` keys whose value is ``None`` are left out at every depth.
    """
    value = _converter.unstructure(record)
    return _without_none(value) if drop_none else cast("Json", value)


def encode(record: object, *, drop_none: bool = False) -> bytes:
    """Convert a record to JSON text in UTF-8."""
    return dumps(to_json(record, drop_none=drop_none))


def _without_none(value: object) -> Json:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_none(inner) for inner in value]
    return cast("Json", value)


def _is_set(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Set)


def _set(values: Set[object]) -> list[object]:
    # Sorted, so that equal records have the same text.
    return sorted((_converter.unstructure(value) for value in values), key=lambda value: (str(type(value)), str(value)))


def _sequence(values: Sequence[object]) -> list[object]:
    return [_converter.unstructure(value) for value in values]


_converter = cattrs.Converter()
_converter.register_unstructure_hook(datetime, rfc3339)
_converter.register_unstructure_hook(Path, str)
_converter.register_unstructure_hook_func(_is_set, _set)
_converter.register_unstructure_hook(Secret, lambda secret: Secret.MASK if secret else "")
_converter.register_unstructure_hook(tuple, _sequence)
_converter.register_unstructure_hook_func(lambda kind: hasattr(kind, "parse") and not attrs.has(kind), str)
for _base in (Enum, StrEnum, IntEnum):  # each by name, since cattrs would dispatch to ``str`` before ``Enum``
    _converter.register_unstructure_hook(_base, lambda member: member.value)


def _for_class(kind: type[attrs.AttrsInstance]) -> Callable[[attrs.AttrsInstance], dict[str, object]]:
    if hasattr(kind, "parse"):
        return cast("Callable[[attrs.AttrsInstance], dict[str, object]]", str)
    if kind is Secret:
        return cast("Callable[[attrs.AttrsInstance], dict[str, object]]", lambda secret: Secret.MASK if secret else "")
    return make_dict_unstructure_fn(kind, _converter, **renames(kind))


_converter.register_unstructure_hook_factory(attrs.has, _for_class)
