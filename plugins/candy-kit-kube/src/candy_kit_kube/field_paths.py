"""Which fields of rule groups the API server keeps, and how the stored groups differ from the requested ones.

API servers without ``fieldValidation`` silently drop ("prune") fields that the structural schema does not have. If
``groups`` is a list with keys, groups of other field managers are merged with the agent's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from candy_core import Json
from candy_kit_kube.json_values import as_object, as_text
from candy_kit_kube.ownership import Step

MAX_REMEMBERED: Final = 10_000
"""Field shapes that are remembered."""


class KnownFields:
    """The fields that the API server is known to keep, as paths without indices, such as ``.rules.labels.severity``.

    Whether a field is kept depends only on its path.
    """

    def __init__(self) -> None:
        self._kept: set[str] = set()

    def contains(self, groups: Sequence[Json]) -> bool:
        """Whether every field of these groups is known to be kept."""
        return self._kept.issuperset(field_shapes(groups))

    def learn(self, groups: Sequence[Json]) -> None:
        """Remember the fields of these groups, which the API server has returned unchanged."""
        self._kept |= field_shapes(groups)
        if len(self._kept) > MAX_REMEMBERED:
            self._kept.clear()

    def forget(self) -> None:
        """Forget all fields: the definition has changed."""
        self._kept.clear()


def field_shapes(groups: Sequence[Json]) -> set[str]:
    """The path of every field of these groups, without indices."""
    found: set[str] = set()
    todo: list[tuple[str, Json]] = [("", group) for group in groups]
    while todo:
        prefix, value = todo.pop()
        if isinstance(value, Mapping):
            for key, member in value.items():
                shape = f"{prefix}.{key}"
                found.add(shape)
                if isinstance(member, dict | list | tuple):
                    todo.append((shape, member))
        elif isinstance(value, list | tuple):
            todo += [(prefix, element) for element in value]
    return found


@frozen(kw_only=True)
class Missing:
    """A requested field that is not stored; ``path`` is its JSON path in the rule file."""

    path: str


@frozen(kw_only=True)
class Unrequested:
    """A stored value that was not requested, or differs. ``shown`` is for messages, ``steps`` is its path."""

    shown: str
    steps: tuple[Step, ...]


def compare(requested: Sequence[Mapping[str, Json]], stored: Sequence[Json]) -> Iterator[Missing | Unrequested]:
    """How ``stored`` differs from ``requested``. Groups are matched by name if all names are unique, else by index."""
    stored_by_name = {as_text(as_object(group).get("name")): group for group in stored}
    names = {as_text(group.get("name")) for group in requested}
    by_name = len(stored_by_name) == len(stored) and len(names) == len(requested)
    for index, group in enumerate(requested):
        name = as_text(group.get("name"))
        found = stored_by_name.get(name) if by_name else stored[index] if index < len(stored) else None
        path = f"$.groups[{index}]"
        if found is None:
            yield Missing(path=path)
        else:
            yield from _differences(group, found, path, ("spec", "groups", {"name": name}))
    if by_name:
        for name in stored_by_name.keys() - names:
            yield Unrequested(shown=f"group {name!r}", steps=("spec", "groups", {"name": name}))
    elif len(stored) > len(requested):
        yield Unrequested(shown=f"{len(stored) - len(requested)} more groups", steps=("spec", "groups"))


def _differences(requested: Json, stored: Json, path: str, steps: tuple[Step, ...]) -> Iterator[Missing | Unrequested]:
    if requested == stored:
        return
    if isinstance(requested, Mapping) and isinstance(stored, Mapping):
        for key, member in requested.items():
            if key not in stored:
                yield Missing(path=f"{path}.{key}")
            else:
                yield from _differences(member, stored[key], f"{path}.{key}", (*steps, key))
        for key in stored.keys() - requested.keys():
            yield Unrequested(shown=f"{path}.{key}", steps=(*steps, key))
    elif isinstance(requested, list | tuple) and isinstance(stored, list | tuple) and len(requested) == len(stored):
        for index, (ours, theirs) in enumerate(zip(requested, stored, strict=True)):
            yield from _differences(ours, theirs, f"{path}[{index}]", (*steps, index))
    else:
        yield Unrequested(shown=path, steps=steps)
