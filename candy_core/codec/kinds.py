"""The kinds of type annotations that the reader distinguishes."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from keyword import iskeyword
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
from cattrs.gen import override

from candy_core.model.secret import Secret

SEQUENCES: Mapping[Any, Callable[[Iterable[Any]], Collection[Any]]] = {
    tuple: tuple,
    list: list,
    set: set,
    frozenset: frozenset,
    Sequence: tuple,
    Collection: tuple,
    Iterable: tuple,
    Set: frozenset,
}
"""List types, and the constructor of each. By default cattrs would split a string into its characters."""


def key_of(attribute: attrs.Attribute[Any]) -> str:
    """The JSON key of a field: its alias, or ``for`` for a field ``for_``, since ``for`` is a keyword in Python."""
    bare = attribute.name.removesuffix("_")
    return bare if iskeyword(bare) else attribute.alias or attribute.name


def renames(kind: type) -> dict[str, Any]:
    """The overrides for cattrs of the keys of a record."""
    return {
        attribute.name: override(rename=key_of(attribute))
        for attribute in attrs.fields(kind)
        if attribute.init and key_of(attribute) != attribute.name
    }


def unannotated(kind: Any) -> Any:
    """A type without its limits."""
    return get_args(kind)[0] if is_annotated(kind) else kind


def is_literal(kind: Any) -> bool:
    """``Literal[...]``."""
    return bool(get_origin(kind) == Literal)


def is_annotated(kind: Any) -> bool:
    """``Annotated[...]``: a type with limits."""
    return bool(get_origin(kind) == Annotated)


def is_sequence(kind: Any) -> bool:
    """A list of any length."""
    return (get_origin(kind) or kind) in SEQUENCES and not is_row(kind)


def is_row(kind: Any) -> bool:
    """A tuple of fixed length with a type for each element."""
    return get_origin(kind) is tuple and get_args(kind)[1:] != (...,)


def is_mapping(kind: Any) -> bool:
    """An object with any keys."""
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Mapping)


def is_union(kind: Any) -> bool:
    """``A | B``, and ``Optional``."""
    return get_origin(kind) in (Union, types.UnionType)


def is_parsable(kind: Any) -> bool:
    """A class with a ``parse`` method."""
    return isinstance(kind, type) and hasattr(kind, "parse")


def is_record(kind: Any) -> bool:
    """An attrs class that the reader fills field by field."""
    return isinstance(kind, type) and attrs.has(kind) and kind is not Secret and not hasattr(kind, "parse")
