"""Which fields of groups the API server keeps, and what of an answer is not as it was asked for.

A structural schema drops ("prunes") what it does not know, without a word, on servers that know no ``fieldValidation``
or were not asked for it; and where ``groups`` is a list with keys, somebody else's groups are merged with ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from candy_core import Json
from candy_kit_kube.json_values import members, text
from candy_kit_kube.ownership import Step

MOST: Final = 10_000
"""Shapes that are remembered."""


class KnownShapes:
    """The shapes of fields that the API server is known to keep, as ``rules.labels.severity``; indices left out.

    Whether a field is kept depends on where it stands and on nothing else of the object.
    """

    def __init__(self) -> None:
        self._kept: set[str] = set()

    def cover(self, groups: Sequence[Json]) -> bool:
        """Whether every field of these groups is known to be kept."""
        return self._kept.issuperset(shapes(groups))

    def learn(self, groups: Sequence[Json]) -> None:
        """These groups came back as they were sent."""
        self._kept |= shapes(groups)
        if len(self._kept) > MOST:
            self._kept.clear()

    def forget(self) -> None:
        """The definition has turned out to be another one."""
        self._kept.clear()


def shapes(groups: Sequence[Json]) -> set[str]:
    """The shape of every field of these groups."""
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
    """A field that was asked for and is not there; ``path`` is the JSON path in the rule file."""

    path: str


@frozen(kw_only=True)
class Foreign:
    """Something that is there, or is otherwise, though not asked for: ``shown`` for people, ``steps`` in the object."""

    shown: str
    steps: tuple[Step, ...]


def compare(asked: Sequence[Mapping[str, Json]], got: Sequence[Json]) -> Iterator[Missing | Foreign]:
    """What of ``got`` is not as ``asked``. Groups are matched by name where names tell them apart, else by place."""
    named = {text(members(group).get("name")): group for group in got}
    names = {text(group.get("name")) for group in asked}
    by_name = len(named) == len(got) and len(names) == len(asked)
    for index, group in enumerate(asked):
        name = text(group.get("name"))
        there = named.get(name) if by_name else got[index] if index < len(got) else None
        path = f"$.groups[{index}]"
        if there is None:
            yield Missing(path=path)
        else:
            yield from _differences(group, there, path, ("spec", "groups", {"name": name}))
    if by_name:
        for name in named.keys() - names:
            yield Foreign(shown=f"group {name!r}", steps=("spec", "groups", {"name": name}))
    elif len(got) > len(asked):
        yield Foreign(shown=f"{len(got) - len(asked)} more groups", steps=("spec", "groups"))


def _differences(asked: Json, got: Json, path: str, steps: tuple[Step, ...]) -> Iterator[Missing | Foreign]:
    if asked == got:
        return
    if isinstance(asked, Mapping) and isinstance(got, Mapping):
        for key, member in asked.items():
            if key not in got:
                yield Missing(path=f"{path}.{key}")
            else:
                yield from _differences(member, got[key], f"{path}.{key}", (*steps, key))
        for key in got.keys() - asked.keys():
            yield Foreign(shown=f"{path}.{key}", steps=(*steps, key))
    elif isinstance(asked, list | tuple) and isinstance(got, list | tuple) and len(asked) == len(got):
        for index, (ours, theirs) in enumerate(zip(asked, got, strict=True)):
            yield from _differences(ours, theirs, f"{path}[{index}]", (*steps, index))
    else:
        yield Foreign(shown=path, steps=steps)
