"""Which field managers own a field, from an object's ``metadata.managedFields`` (Kubernetes, "Server-Side Apply").

``fieldsV1`` is a tree: ``f:name`` is a field, ``k:{"name":"x"}`` the element of a list with that key, ``i:0`` the
element with that index. The manager owns everything below a leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import orjson

from candy_core import Json
from candy_kit_kube.json_values import as_list, as_object, as_text

Step: TypeAlias = str | int | Mapping[str, Json]
"""A field's name, an element's index, or an element's keys."""


def owners(found: Json, path: Sequence[Step], *, exclude: str) -> tuple[str, ...]:
    """The managers, other than ``exclude``, that own the field at ``path`` of the object, sorted by name."""
    entries = as_list(as_object(as_object(found).get("metadata")).get("managedFields"))
    managers = {
        as_text(as_object(entry).get("manager"))
        for entry in entries
        if _owns(as_object(as_object(entry).get("fieldsV1")), path)
    }
    return tuple(sorted(managers - {exclude, ""}))


def _owns(tree: Mapping[str, Json], path: Sequence[Step]) -> bool:
    for step in path:
        if not [key for key in tree if key != "."]:
            return True  # a leaf: this manager owns everything below
        below = next((tree[key] for key in tree if _matches(key, step)), None)
        if below is None:
            return False
        tree = as_object(below)
    return True


def _matches(key: str, step: Step) -> bool:
    if isinstance(step, int):
        return key == f"i:{step}"
    if isinstance(step, str):
        return key == f"f:{step}"
    try:
        return key.startswith("k:") and orjson.loads(key[2:]) == step
    except ValueError:
        return False
