"""Converts the API server's field paths to those of a rule file (contract section 5: ``$.groups[0].rules[1].expr``).

They have three forms: ``spec.groups[0].rules[1].expr``, ``spec.groups[name="x"].rules[1].expr`` (server-side apply),
and from older API servers ``spec.groups.rules.expr``, without an index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from candy_core import Json, Problem
from candy_kit_kube.json_values import as_text

_KEYED = re.compile(r'\.groups\[name="((?:[^"\\]|\\.)*)"\]')
_VALUE = re.compile(r'^Invalid value: "((?:[^"\\]|\\.)*)"')


def rule_problems(problems: Iterable[Problem], groups: Sequence[Mapping[str, Json]]) -> tuple[Problem, ...]:
    """The same problems with paths into these groups, each once; those without a path only if all have none."""
    found = dict.fromkeys(each for problem in problems for each in _convert(problem, groups))
    with_path = tuple(problem for problem in found if problem.path != "$")
    return with_path or tuple(found)


def _convert(problem: Problem, groups: Sequence[Mapping[str, Json]]) -> Iterator[Problem]:
    path = problem.path
    if not path.startswith("$.spec.groups"):
        yield Problem("$" if "<nil>" in path else path, problem.message)
        return
    path = "$" + path.removeprefix("$.spec")
    names = [as_text(group.get("name")) for group in groups]
    if (keyed := _KEYED.search(path)) and keyed[1] in names:
        path = path.replace(keyed[0], f".groups[{names.index(keyed[1])}]", 1)
    if "[" in path or path == "$.groups":
        yield Problem(path, problem.message)
        return
    candidates = list(_candidates(path.split(".")[2:], problem.message, groups))
    yield from (Problem(candidate, problem.message) for candidate in candidates or [path])


def _candidates(keys: Sequence[str], message: str, groups: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    """Every path with indices that a path without them may mean, and whose value fits the message."""
    value, required = _VALUE.match(message), message.startswith("Required value")
    todo: list[tuple[str, Json, Sequence[str]]] = [(f"$.groups[{i}]", group, keys) for i, group in enumerate(groups)]
    while todo:
        path, found, rest = todo.pop(0)
        if isinstance(found, list | tuple):
            todo += [(f"{path}[{i}]", element, rest) for i, element in enumerate(found)]
        elif not rest:
            if not required and (value is None or _fits(found, value[1])):
                yield path
        elif isinstance(found, Mapping):
            if rest[0] in found:
                todo.append((f"{path}.{rest[0]}", found[rest[0]], rest[1:]))
            elif len(rest) == 1 and required:
                yield f"{path}.{rest[0]}"


def _fits(value: Json, quoted: str) -> bool:
    """Whether a message about this value may quote it so: by its text, or by its type."""
    types = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return quoted in (value, types.get(type(value)), "null" if value is None else None)
