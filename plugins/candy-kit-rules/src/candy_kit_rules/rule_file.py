"""Everything wrong with the groups of a rule file, as far as can be told without a server (contract section 5)."""

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
"""Characters of a name that a message shows."""
_ALERTS_ONLY = ("for", "keep_firing_for", "annotations")


@frozen
class Place:
    """A group or a rule of it: where it stands, and what people call it."""

    path: str
    called: str

    def problem(self, field: str, what: str, *further: str | int) -> Problem:
        """A problem of one field, or of what is ``further`` down in it."""
        path = f"{self.path}.{field}" if field else self.path
        for step in further:
            path = _joined(path, step)
        named = field + "".join(f" {_shown(step)}" for step in further if isinstance(step, str))
        return Problem(path, f"{self.called}: {named}: {what}" if named else f"{self.called}: {what}")


@frozen
class Expression:
    """One expression of a rule file that a server may be asked about."""

    place: Place
    text: str

    def problem(self, what: str) -> Problem:
        """Something wrong with it."""
        return self.place.problem("expr", what)


def problems_of(groups: Sequence[Mapping[str, Json]], dialect: RuleDialect) -> Iterator[Problem]:
    """Every problem but those of expressions, in the order of the file.

    ``groups`` are canonical: of the types that the backend's class of a group says.
    """
    repeated = {name for name, count in Counter(str(group.get("name", "")) for group in groups).items() if count > 1}
    seen: set[str] = set()
    for group, place in zip(groups, _groups(groups), strict=True):
        name = str(group.get("name", ""))
        if not name:
            yield place.problem("name", "expected a name")
        elif name in repeated and name in seen:
            yield place.problem("name", "expected each name of a group once in a rule file")
        seen.add(name)
        yield from _group_problems(group, place, dialect)


def expressions_of(groups: Sequence[Mapping[str, Json]], dialect: RuleDialect) -> Iterator[Expression]:
    """Every expression in PromQL or MetricsQL, where it stands."""
    for group, place in zip(groups, _groups(groups), strict=True):
        if str(group.get("type", "")) not in dialect.query_kinds:
            continue
        for rule, of_rule in _rules(group, place):
            text = rule.get("expr")
            if isinstance(text, str) and text.strip() and nesting_problem(text) is None:
                yield Expression(of_rule, text)


def _group_problems(group: Mapping[str, Json], place: Place, dialect: RuleDialect) -> Iterator[Problem]:
    wrong = list(_duration_problems(group, place, dialect.group_durations))
    yield from wrong
    if not wrong:
        yield from _offset_problems(group, place)
    yield from _label_problems(group, place, None)
    known: dict[object, int] = {}
    for index, (rule, of_rule) in enumerate(_rules(group, place)):
        yield from _rule_problems(rule, of_rule, dialect)
        key = _identity(rule, dialect)
        if key is not None and known.setdefault(key, index) != index:
            field = "alert" if rule.get("alert") else "record"
            same = "name, labels and expression" if dialect.same_expression else "name and labels"
            yield of_rule.problem(field, f"expected no two rules of one {same}: rule {known[key]} of the group is one")


def _rule_problems(rule: Mapping[str, Json], place: Place, dialect: RuleDialect) -> Iterator[Problem]:
    alert, record = str(rule.get("alert", "")), str(rule.get("record", ""))
    if bool(alert) == bool(record):
        yield place.problem("", "expected either alert or record" + (", and both are there" if alert else ""))
    if record and not dialect.record_name.fullmatch(record):
        yield place.problem("record", "expected the name of a metric")
    if record:
        for field in _ALERTS_ONLY:
            if rule.get(field):
                yield place.problem(field, "expected for an alert only, and this is a recording rule")
    yield from _expression_problems(rule, place)
    yield from _duration_problems(rule, place, dialect.rule_durations)
    yield from _label_problems(rule, place, None if record else dialect)
    for name, text in _texts(rule.get("annotations")):
        if not _LABEL.fullmatch(name):
            yield place.problem("annotations", "expected a name of letters, digits and _", name)
        elif wrong := template_problem(text, dialect.functions, dialect.variables):
            yield place.problem("annotations", wrong, name)


def _expression_problems(rule: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    text = rule.get("expr")
    if not isinstance(text, str) or not text.strip():
        yield place.problem("expr", "expected an expression")
    elif wrong := nesting_problem(text):
        yield place.problem("expr", wrong)


def _label_problems(rule: Mapping[str, Json], place: Place, templates: RuleDialect | None) -> Iterator[Problem]:
    """Of a group's labels or a rule's; those of an alert are ``templates``, too."""
    for name, text in _texts(rule.get("labels")):
        if not _LABEL.fullmatch(name):
            yield place.problem("labels", "expected a name of letters, digits and _", name)
        elif name == "__name__":
            yield place.problem("labels", "expected no __name__: the rule's own name is the metric's", name)
        elif templates and (wrong := template_problem(text, templates.functions, templates.variables)):
            yield place.problem("labels", wrong, name)


def _duration_problems(record: Mapping[str, Json], place: Place, fields: Mapping[str, Any]) -> Iterator[Problem]:
    for field, problem in fields.items():
        text = record.get(field)
        if isinstance(text, str) and (wrong := problem(text)):
            yield place.problem(field, wrong)


def _offset_problems(group: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    offset, interval = group.get("eval_offset"), group.get("interval")
    if not isinstance(offset, str):
        return
    if group.get("eval_delay") is not None:
        yield place.problem("eval_delay", "expected either eval_offset or eval_delay, and both are there")
    if isinstance(interval, str) and abs(victoriametrics_seconds(offset)) > victoriametrics_seconds(interval) > 0:
        yield place.problem("eval_offset", "expected at most the group's interval")


def _identity(rule: Mapping[str, Json], dialect: RuleDialect) -> object:
    """What makes two rules of a group one and the same: a name alone does not, labels and thresholds may differ."""
    name = rule.get("alert") or rule.get("record")
    if not name:
        return None
    labels = frozenset(_texts(rule.get("labels")))
    expression = rule.get("expr") if dialect.same_expression else None
    return bool(rule.get("alert")), name, labels, expression


def _groups(groups: Sequence[Mapping[str, Json]]) -> Iterator[Place]:
    for index, group in enumerate(groups):
        yield Place(f"$.groups[{index}]", f"group {_shown(str(group.get('name', '')))}")


def _rules(group: Mapping[str, Json], place: Place) -> Iterator[tuple[Mapping[str, Json], Place]]:
    rules = group.get("rules")
    for index, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
        if isinstance(rule, Mapping):
            kind = next((kind for kind in ("alert", "record") if rule.get(kind)), None)
            name = f"{kind} {_shown(str(rule[kind]))}" if kind else f"rule {index}"
            yield rule, Place(f"{place.path}.rules[{index}]", f"{place.called}, {name}")


def _texts(value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from ((str(name), str(text)) for name, text in value.items())


def _shown(name: str) -> str:
    return f'"{name if len(name) <= _SHOWN else name[:_SHOWN] + "…"}"'


def _joined(path: str, step: str | int) -> str:
    """The JSON path one step further down, as the core writes it."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if _PLAIN_KEY.fullmatch(step):
        return f"{path}.{step}"
    quoted = step[:_SHOWN].replace("\\", "\\\\").replace("'", "\\'")
    return f"{path}['{quoted}']"
