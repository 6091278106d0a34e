"""Who owns what of an object, out of its ``metadata.managedFields`` (Kubernetes, "Server-Side Apply").

``fieldsV1`` is a tree: ``f:name`` leads to a field, ``k:{"name":"x"}`` to the element of a list with that key, ``i:0``
to an element by its place; where it ends, everything below belongs to the manager.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import orjson

from candy_core import Json
from candy_kit_kube.json_values import elements, members, text

Step: TypeAlias = str | int | Mapping[str, Json]
"""A field's name, an element's place, or an element's keys."""


def owners(found: Json, path: Sequence[Step], *, but: str) -> tuple[str, ...]:
    """The managers that own what ``path`` leads to in the object, other than ``but``, in order of their names."""
    entries = elements(members(members(found).get("metadata")).get("managedFields"))
    managers = {
        text(members(entry).get("manager")) for entry in entries if _owns(members(members(entry).get("fieldsV1")), path)
    }
    return tuple(sorted(managers - {but, ""}))


def _owns(tree: Mapping[str, Json], path: Sequence[Step]) -> bool:
    for step in path:
        if not [key for key in tree if key != "."]:
            return True  # an end: everything below is this manager's
        below = next((tree[key] for key in tree if _leads(key, step)), None)
        if below is None:
            return False
        tree = members(below)
    return True


def _leads(key: str, step: Step) -> bool:
    if isinstance(step, int):
        return key == f"i:{step}"
    if isinstance(step, str):
        return key == f"f:{step}"
    try:
        return key.startswith("k:") and orjson.loads(key[2:]) == step
    except ValueError:
        return False
