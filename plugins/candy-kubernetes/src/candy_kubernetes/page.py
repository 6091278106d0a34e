"""One page of a list, decoded only as far as a check needs it.

A page of 500 pods has 500 000 values, of which a check reads 20 000. Fields that a type does not name are skipped and
never become Python objects: annotations, templates, a node's images, and the private key of a TLS secret.
"""

from __future__ import annotations

from typing import Any, Generic, TypedDict, TypeVar

from msgspec import UNSET, Struct, UnsetType

T = TypeVar("T")

PageMetadata = TypedDict("PageMetadata", {"continue": Any}, total=False)


class Page(Struct, Generic[T], frozen=True):
    """A list of objects of the type ``T``; the items of an empty one may be ``null``."""

    kind: str = ""
    metadata: PageMetadata | UnsetType = UNSET
    items: list[T] | UnsetType | None = UNSET


class Metadata(TypedDict, total=False):
    """The fields of an object's ``metadata`` that are read."""

    name: Any
    namespace: Any
    creationTimestamp: Any
    deletionTimestamp: Any
    generation: Any
