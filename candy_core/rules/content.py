"""The content of a rule: from ``content`` to groups and back (contract section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from candy_core.codec import dumps, loads, params_reader, to_json
from candy_core.codec.problems import unknown_key
from candy_core.errors import BadJson, Invalid, Problem
from candy_core.model.task import Json
from candy_core.rules.documents import RuleDraft
from candy_core.rules.yaml_writing import write_yaml
from candy_core.yaml_reader import read_yaml

Groups = tuple[Mapping[str, Json], ...]

PATH = "$.content"
MAX_BYTES = 512 * 1024
"""The largest PrometheusRule that an API server keeps, and so the longest rule file."""
DEFAULT_FOR = "5m"
DEFAULT_LABELS: Mapping[str, str] = {"severity": "warning"}

_RULE_FILE = re.compile(r"""^[ \t{]*(["']groups["']\s*:|groups\s*:(?=\s|$))""", re.MULTILINE)
_OTHER_DOCUMENT = re.compile(
    r"""\A(?:[ \t]*(?:#.*)?\n|---.*\n)*[ \t]*(?:\[|(?:-[ \t]+)*["']?[A-Za-z_][\w-]*["']?:(?:\s|\Z))"""
)
"""A first line that is a list or a YAML key. No expression starts so: in a series name no space follows a colon."""


def groups_of(draft: RuleDraft, group: type[Any] | None) -> Groups:
    """The groups of a draft, in canonical form if the backend has a class for its groups.

    Raises :class:`Invalid` with every problem: at ``$.content`` with the line if the groups cannot be read, else at its
    path in the rule file (``$.groups[0].rules[1].expr``).
    """
    content = draft.content
    if isinstance(content, str):
        file = _read_text(content)
    elif isinstance(content, Mapping):
        file = content
        if len(dumps(content)) > MAX_BYTES:
            raise _invalid(f"expected at most {MAX_BYTES} bytes")
    else:
        raise _invalid("expected an expression, a rule file as YAML or JSON text, or a rule file as an object")
    if file is None:
        groups: tuple[Json, ...] = (_alert(draft, str(content).strip()),)
    else:
        groups = tuple(_filled(each, draft) for each in _groups_in(file))
    return _canonical(groups, group)


def content_of(groups: Iterable[Mapping[str, Json]], group: type[Any] | None) -> str:
    """Groups as a rule file in YAML, which :func:`groups_of` reads back as equal groups."""
    # A class knows which of its fields are numbers.
    return write_yaml({"groups": list(groups)}, tagged=group is None)


def the_alert(groups: Iterable[Mapping[str, Json]]) -> Mapping[str, Json] | None:
    """The alert of a rule that has exactly one, not counting recording rules."""
    alerts = [rule for each in groups for rule in _rules_of(each) if isinstance(rule, Mapping) and "alert" in rule]
    return alerts[0] if len(alerts) == 1 else None


def _read_text(text: str) -> Json:
    """The rule file in a text, or ``None`` if the text is an expression."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise _invalid("expected an expression or a rule file, not an empty text")
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise _invalid(f"expected at most {MAX_BYTES} bytes")
    as_json = _json_object(text)
    if as_json is not None:
        return as_json
    if _RULE_FILE.search(text):
        return read_yaml(text, path=PATH, typed=False)
    if _OTHER_DOCUMENT.match(text):
        raise _invalid("expected an expression, or a rule file whose first key is groups")
    return None


def _json_object(text: str) -> Json:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = loads(text)
    except BadJson:
        return None  # a selector, or YAML in braces, whose reader reports what is wrong with it
    return value if isinstance(value, dict) else None


def _groups_in(file: Json) -> list[Json]:
    if not isinstance(file, Mapping):
        raise _invalid("expected a rule file: a mapping with the key groups")
    if "apiVersion" in file and "spec" in file:
        raise _invalid("expected a rule file, and this is a whole Kubernetes object: give its spec")
    problems = [
        Problem(f"{PATH}.{str(key)[:80]}", unknown_key(str(key), ["groups"])) for key in file if key != "groups"
    ]
    groups = file.get("groups")
    if not isinstance(groups, list | tuple) or not groups:
        problems.append(Problem("$.groups", "expected a list with at least one group"))
    if problems:
        raise Invalid(problems)
    return list(groups) if isinstance(groups, list | tuple) else []


def _alert(draft: RuleDraft, expression: str) -> dict[str, Json]:
    """The group with one alert for an expression."""
    stem = draft.key.rpartition(".")[0] or draft.key
    alert: dict[str, Json] = {
        "alert": draft.name,
        "expr": expression,
        "for": draft.for_ or DEFAULT_FOR,
        "labels": dict(DEFAULT_LABELS) | dict(draft.labels),
    }
    if draft.annotations:
        alert["annotations"] = dict(draft.annotations)
    return {"name": stem or draft.name, "rules": [alert]}


def _filled(group: Json, draft: RuleDraft) -> Json:
    """The group, with its alerts completed from the draft."""
    if not isinstance(group, Mapping) or not (draft.for_ or draft.labels or draft.annotations):
        return group
    rules = group.get("rules")
    if not isinstance(rules, list | tuple):
        return group
    return {**group, "rules": [_filled_rule(rule, draft) for rule in rules]}


def _filled_rule(rule: Json, draft: RuleDraft) -> Json:
    if not isinstance(rule, Mapping) or "alert" not in rule:
        return rule
    filled = dict(rule)
    if draft.for_ and filled.get("for") is None:
        filled["for"] = draft.for_
    for key, given in (("labels", draft.labels), ("annotations", draft.annotations)):
        own = filled.get(key)
        if given and (own is None or isinstance(own, Mapping)):
            filled[key] = dict(given) | dict(own or {})
    return filled


def _canonical(groups: Iterable[Json], group: type[Any] | None) -> Groups:
    result: list[Mapping[str, Json]] = []
    problems: list[Problem] = []
    for index, each in enumerate(groups):
        path = f"$.groups[{index}]"
        if not isinstance(each, Mapping):
            problems.append(Problem(path, "expected an object"))
        elif group is None:
            result.append(each)
        else:
            try:
                result.append(_as_object(params_reader.read(each, group, path=path)))
            except Invalid as error:
                problems += error.problems
    if problems:
        raise Invalid(problems)
    return tuple(result)


def _as_object(record: object) -> Mapping[str, Json]:
    value = to_json(record, drop_none=True)
    if not isinstance(value, dict):
        raise TypeError(f"{type(record).__name__} is not written as an object")
    return value


def _rules_of(group: Json) -> tuple[Json, ...]:
    rules = group.get("rules") if isinstance(group, Mapping) else None
    return tuple(rules) if isinstance(rules, list | tuple) else ()


def _invalid(message: str) -> Invalid:
    return Invalid([Problem(PATH, message)])
