"""One page of a list, read only as far as something looks at it.

A page of 500 pods is 500 000 values, of which a check wants 20 000. What a shape does not name is passed over without
becoming an object of Python's: annotations, templates, a node's images, and the private key of a TLS secret.
"""

from __future__ import annotations

from typing import Any, Generic, TypedDict, TypeVar

from msgspec import UNSET, Struct, UnsetType

T = TypeVar("T")

PageMetadata = TypedDict("PageMetadata", {"continue": Any}, total=False)


class Page(Struct, Generic[T], frozen=True):
    """A list of objects of the shape ``T``; an empty one may be ``null``."""

    kind: str = ""
    metadata: PageMetadata | UnsetType = UNSET
    items: list[T] | UnsetType | None = UNSET


class Metadata(TypedDict, total=False):
    """What anything of an object's ``metadata`` is looked at for."""

    name: Any
    namespace: Any
    creationTimestamp: Any
    deletionTimestamp: Any
    generation: Any
