"""From the API server's field paths to those of a rule file (contract section 5: ``$.groups[0].rules[1].expr``).

They come in three ways: ``spec.groups[0].rules[1].expr``; ``spec.groups[name="x"].rules[1].expr`` (server-side apply);
and, from older API servers, ``spec.groups.rules.expr`` without saying which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from candy_core import Json, Problem
from candy_kit_kube.json_values import text

_KEYED = re.compile(r'\.groups\[name="((?:[^"\\]|\\.)*)"\]')
_VALUE = re.compile(r'^Invalid value: "((?:[^"\\]|\\.)*)"')


def rule_problems(problems: Iterable[Problem], groups: Sequence[Mapping[str, Json]]) -> tuple[Problem, ...]:
    """The same problems with paths into these groups, each once; those without a place only where there is no other."""
    found = dict.fromkeys(each for problem in problems for each in _placed(problem, groups))
    placed = tuple(problem for problem in found if problem.path != "$")
    return placed or tuple(found)


def _placed(problem: Problem, groups: Sequence[Mapping[str, Json]]) -> Iterator[Problem]:
    path = problem.path
    if not path.startswith("$.spec.groups"):
        yield Problem("$" if "<nil>" in path else path, problem.message)
        return
    path = "$" + path.removeprefix("$.spec")
    names = [text(group.get("name")) for group in groups]
    if (keyed := _KEYED.search(path)) and keyed[1] in names:
        path = path.replace(keyed[0], f".groups[{names.index(keyed[1])}]", 1)
    if "[" in path or path == "$.groups":
        yield Problem(path, problem.message)
        return
    places = list(_suspects(path.split(".")[2:], problem.message, groups))
    yield from (Problem(place, problem.message) for place in places or [path])


def _suspects(keys: Sequence[str], message: str, groups: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    """Every place that a path without indices may mean, as far as what is said of the value leaves it possible."""
    value, required = _VALUE.match(message), message.startswith("Required value")
    todo: list[tuple[str, Json, Sequence[str]]] = [(f"$.groups[{i}]", group, keys) for i, group in enumerate(groups)]
    while todo:
        path, at, left = todo.pop(0)
        if isinstance(at, list | tuple):
            todo += [(f"{path}[{i}]", element, left) for i, element in enumerate(at)]
        elif not left:
            if not required and (value is None or _is_said(at, value[1])):
                yield path
        elif isinstance(at, Mapping):
            if left[0] in at:
                todo.append((f"{path}.{left[0]}", at[left[0]], left[1:]))
            elif len(left) == 1 and required:
                yield f"{path}.{left[0]}"


def _is_said(value: Json, said: str) -> bool:
    """Whether a message about this value may call it that: by its text, or by its type."""
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return said in (value, kinds.get(type(value)), "null" if value is None else None)
