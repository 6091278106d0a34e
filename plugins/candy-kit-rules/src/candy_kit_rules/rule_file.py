"""Problems in the groups of a rule file, as far as they can be found without a server (contract section 5)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from candy_core import Json, Problem
from candy_kit_rules.dialect import RuleDialect
from candy_kit_rules.durations import victoriametrics_seconds
from candy_kit_rules.expressions import nesting_problem
from candy_kit_rules.go_template import template_problem

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_PLAIN_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")
_SHOWN = 80
"""The most characters of a name in a message."""
_ALERTS_ONLY = ("for", "keep_firing_for", "annotations")


@frozen
class RulePath:
    """A group or a rule of it: its JSON path, and its description for people."""

    json_path: str
    description: str

    def problem(self, field: str, message: str, *keys: str | int) -> Problem:
        """A problem of one field, or of the value at ``keys`` in it."""
        path = f"{self.json_path}.{field}" if field else self.json_path
        for key in keys:
            path = _joined(path, key)
        named = field + "".join(f" {_shown(key)}" for key in keys if isinstance(key, str))
        return Problem(path, f"{self.description}: {named}: {message}" if named else f"{self.description}: {message}")


@frozen
class Expression:
    """One expression of a rule file that a server may check."""

    path: RulePath
    text: str

    def problem(self, message: str) -> Problem:
        """A problem of this expression."""
        return self.path.problem("expr", message)


def problems_of(groups: Sequence[Mapping[str, Json]], dialect: RuleDialect) -> Iterator[Problem]:
    """Every problem but those of expressions, in the order of the file.

    ``groups`` are canonical: their fields have the types of the backend's own class for a group.
    """
    repeated = {name for name, count in Counter(str(group.get("name", "")) for group in groups).items() if count > 1}
    seen: set[str] = set()
    for group, path in zip(groups, _groups(groups), strict=True):
        name = str(group.get("name", ""))
        if not name:
            yield path.problem("name", "expected a name")
        elif name in repeated and name in seen:
            yield path.problem("name", "expected each name of a group once in a rule file")
        seen.add(name)
        yield from _group_problems(group, path, dialect)


def expressions_of(groups: Sequence[Mapping[str, Json]], dialect: RuleDialect) -> Iterator[Expression]:
    """Every expression in PromQL or MetricsQL, with its path."""
    for group, path in zip(groups, _groups(groups), strict=True):
        if str(group.get("type", "")) not in dialect.query_kinds:
            continue
        for rule, rule_path in _rules(group, path):
            text = rule.get("expr")
            if isinstance(text, str) and text.strip() and nesting_problem(text) is None:
                yield Expression(rule_path, text)


def _group_problems(group: Mapping[str, Json], path: RulePath, dialect: RuleDialect) -> Iterator[Problem]:
    problems = list(_duration_problems(group, path, dialect.group_durations))
    yield from problems
    if not problems:
        yield from _offset_problems(group, path)
    yield from _label_problems(group, path, None)
    known: dict[object, int] = {}
    for index, (rule, rule_path) in enumerate(_rules(group, path)):
        yield from _rule_problems(rule, rule_path, dialect)
        key = _identity(rule, dialect)
        if key is not None and known.setdefault(key, index) != index:
            field = "alert" if rule.get("alert") else "record"
            same = "name, labels and expression" if dialect.same_expression else "name and labels"
            yield rule_path.problem(
                field, f"expected no two rules of one {same}: rule {known[key]} of the group is one"
            )


def _rule_problems(rule: Mapping[str, Json], path: RulePath, dialect: RuleDialect) -> Iterator[Problem]:
    alert, record = str(rule.get("alert", "")), str(rule.get("record", ""))
    if bool(alert) == bool(record):
        yield path.problem("", "expected either alert or record" + (", and both are there" if alert else ""))
    if record and not dialect.record_name.fullmatch(record):
        yield path.problem("record", "expected the name of a metric")
    if record:
        for field in _ALERTS_ONLY:
            if rule.get(field):
                yield path.problem(field, "expected for an alert only, and this is a recording rule")
    yield from _expression_problems(rule, path)
    yield from _duration_problems(rule, path, dialect.rule_durations)
    yield from _label_problems(rule, path, None if record else dialect)
    for name, text in _texts(rule.get("annotations")):
        if not _LABEL.fullmatch(name):
            yield path.problem("annotations", "expected a name of letters, digits and _", name)
        elif wrong := template_problem(text, dialect.functions, dialect.variables):
            yield path.problem("annotations", wrong, name)


def _expression_problems(rule: Mapping[str, Json], path: RulePath) -> Iterator[Problem]:
    text = rule.get("expr")
    if not isinstance(text, str) or not text.strip():
        yield path.problem("expr", "expected an expression")
    elif wrong := nesting_problem(text):
        yield path.problem("expr", wrong)


def _label_problems(rule: Mapping[str, Json], path: RulePath, templates: RuleDialect | None) -> Iterator[Problem]:
    """Of the labels of a group or a rule. With ``templates`` they are templates in that dialect, as an alert's are."""
    for name, text in _texts(rule.get("labels")):
        if not _LABEL.fullmatch(name):
            yield path.problem("labels", "expected a name of letters, digits and _", name)
        elif name == "__name__":
            yield path.problem("labels", "expected no __name__: the rule's own name is the metric's", name)
        elif templates and (wrong := template_problem(text, templates.functions, templates.variables)):
            yield path.problem("labels", wrong, name)


def _duration_problems(record: Mapping[str, Json], path: RulePath, fields: Mapping[str, Any]) -> Iterator[Problem]:
    for field, problem in fields.items():
        text = record.get(field)
        if isinstance(text, str) and (wrong := problem(text)):
            yield path.problem(field, wrong)


def _offset_problems(group: Mapping[str, Json], path: RulePath) -> Iterator[Problem]:
    offset, interval = group.get("eval_offset"), group.get("interval")
    if not isinstance(offset, str):
        return
    if group.get("eval_delay") is not None:
        yield path.problem("eval_delay", "expected either eval_offset or eval_delay, and both are there")
    if isinstance(interval, str) and abs(victoriametrics_seconds(offset)) > victoriametrics_seconds(interval) > 0:
        yield path.problem("eval_offset", "expected at most the group's interval")


def _identity(rule: Mapping[str, Json], dialect: RuleDialect) -> object:
    """The key by which two rules of a group are duplicates; ``None`` for a rule without a name."""
    name = rule.get("alert") or rule.get("record")
    if not name:
        return None
    labels = frozenset(_texts(rule.get("labels")))
    expression = rule.get("expr") if dialect.same_expression else None
    return bool(rule.get("alert")), name, labels, expression


def _groups(groups: Sequence[Mapping[str, Json]]) -> Iterator[RulePath]:
    for index, group in enumerate(groups):
        yield RulePath(f"$.groups[{index}]", f"group {_shown(str(group.get('name', '')))}")


def _rules(group: Mapping[str, Json], path: RulePath) -> Iterator[tuple[Mapping[str, Json], RulePath]]:
    rules = group.get("rules")
    for index, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
        if isinstance(rule, Mapping):
            kind = next((kind for kind in ("alert", "record") if rule.get(kind)), None)
            name = f"{kind} {_shown(str(rule[kind]))}" if kind else f"rule {index}"
            yield rule, RulePath(f"{path.json_path}.rules[{index}]", f"{path.description}, {name}")


def _texts(value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from ((str(name), str(text)) for name, text in value.items())


def _shown(name: str) -> str:
    return f'"{name if len(name) <= _SHOWN else name[:_SHOWN] + "…"}"'


def _joined(path: str, key: str | int) -> str:
    """The JSON path of a key of the value at ``path``, as the core writes it."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}"
    quoted = key[:_SHOWN].replace("\\", "\\\\").replace("'", "\\'")
    return f"{path}['{quoted}']"
