"""Contract section 5: "Before anything is written each rule is checked …; each error names group, rule and field"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from candy_kit_rules import PROMETHEUS_RULES, VICTORIAMETRICS_RULES, RuleDialect

BOTH = pytest.mark.parametrize("dialect", [PROMETHEUS_RULES, VICTORIAMETRICS_RULES], ids=lambda each: each.name)


def group(*rules: Any, name: str = "node", **more: Any) -> dict[str, Any]:
    return {"name": name, "rules": list(rules), **more}


def alert(name: str = "HighCPU", **more: Any) -> dict[str, Any]:
    return {"alert": name, "expr": "up == 0", **more}


def record(name: str = "job:up:sum", **more: Any) -> dict[str, Any]:
    return {"record": name, "expr": "sum by (job) (up)", **more}


@BOTH
@pytest.mark.parametrize(
    ("second", "path", "message"),
    [
        (alert(expr=" "), ".expr", 'alert "HighCPU": expr: expected an expression'),
        ({"alert": "HighCPU"}, ".expr", 'alert "HighCPU": expr: expected an expression'),
        (alert(record="a"), "", 'alert "HighCPU": expected either alert or record, and both are there'),
        ({"expr": "up"}, "", "rule 1: expected either alert or record"),
        (alert(**{"for": "5 minutes"}), ".for", 'alert "HighCPU": for: expected a duration'),
        (alert(keep_firing_for="x"), ".keep_firing_for", 'alert "HighCPU": keep_firing_for: expected a duration'),
        (record(**{"for": "5m"}), ".for", 'record "job:up:sum": for: expected for an alert only'),
        (record(keep_firing_for="5m"), ".keep_firing_for", 'record "job:up:sum": keep_firing_for: expected for an'),
        (record(annotations={"a": "b"}), ".annotations", 'record "job:up:sum": annotations: expected for an alert'),
        (record("a b"), ".record", 'record "a b": record: expected the name of a metric'),
        (alert(labels={"a.b": "x"}), ".labels['a.b']", 'alert "HighCPU": labels "a.b": expected a name of letters'),
        (record(labels={"1": "x"}), ".labels['1']", 'record "job:up:sum": labels "1": expected a name of letters'),
        (alert(labels={"__name__": "x"}), ".labels.__name__", 'labels "__name__": expected no __name__'),
        (alert(labels={"a": "{{ x }}"}), ".labels.a", 'labels "a": the template does not parse: function "x"'),
        (alert(annotations={"a": "{{"}), ".annotations.a", 'annotations "a": the template does not parse: unclosed'),
        (alert(annotations={"a-b": "x"}), ".annotations.a-b", 'annotations "a-b": expected a name of letters'),
        (alert(annotations={"节点": "x"}), ".annotations['节点']", 'annotations "节点": expected a name of letters'),
        (alert(expr="(" * 101 + "up" + ")" * 101), ".expr", "expected at most 100 brackets within each other"),
        (alert(expr="# it's\n" + "(" * 101 + "up" + ")" * 101 + " # it's"), ".expr", "expected at most 100 brackets"),
    ],
)
async def test_a_problem_has_a_path_and_names_group_rule_and_field(
    problems: Callable[..., Any], dialect: RuleDialect, second: Any, path: str, message: str
) -> None:
    [found] = await problems(group(), group(record("a"), second, name="g2"), dialect=dialect)
    assert found.path == f"$.groups[1].rules[1]{path}"
    assert found.message.startswith('group "g2", ')
    assert message in found.message


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("up{", "the expression does not parse"),
        ("sum(up", "unclosed left parenthesis"),
        ("rate(up)", "expected type"),
        ("nope(up)", "unknown function"),
        ("up ==", "the expression does not parse"),
        ("up offset Inf", "the expression does not parse"),
        ("up[1e30]", "the expression does not parse"),
        ('up{a=~"("}', "regex"),
        ("1 > 2", "BOOL"),
        ("up[5m]", "this one gives a range vector"),
        ("((up[5m:1m]))", "this one gives a range vector"),
        ('"text"', "this one gives a text"),
    ],
)
async def test_an_expression_that_is_not_promql_is_rejected_with_the_parsers_message(
    problems: Callable[..., Any], promtool: Callable[[Any], str], expression: str, message: str
) -> None:
    [found] = await problems(group(alert(expr=expression)))
    assert found.path == "$.groups[0].rules[0].expr"
    assert found.message.startswith('group "node", alert "HighCPU": expr: ')
    assert message in found.message
    if "gives" not in message:  # Prometheus rejects these when it evaluates the rule
        assert promtool([group(alert(expr=expression))])


@pytest.mark.parametrize(
    "expression",
    [
        "holt_winters(up[5m], 0.1, 0.2) > 1",
        "double_exponential_smoothing(up[5m], 0.1, 0.2) > 1",
        'count(up{a="holt_winters(",b="((((("}) # ((((',
        "up > 100d",
        " + ".join(["up"] * 20_000),
        "1",
        "sum by (a) (up) > bool 0",
        "-up ^ 2",
    ],
)
async def test_an_expression_that_some_version_of_prometheus_accepts_is_not_rejected_without_a_server(
    problems: Callable[..., Any], expression: str
) -> None:
    """``aws_x > 100d`` passes one parser and fails another: only the server itself knows."""
    assert await problems(group(alert(expr=expression))) == []


@pytest.mark.parametrize(
    "expression",
    [
        "up default 0",
        "WITH (x = up) x",
        "sum(rate(x)) limit 5",
        "rollup(up[1i])",
        r"foo\(bar",
        'up{a="(((["} # ]',
        "not an operator of any language",
    ],
)
async def test_metricsql_is_never_checked_by_a_parser_of_promql(problems: Callable[..., Any], expression: str) -> None:
    assert await problems(group(alert(expr=expression)), dialect=VICTORIAMETRICS_RULES) == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("sum(up", ") is missing at its end"),
        ("sum(up))", ") closes nothing that is open"),
        ("up[5m) > 1", ") closes nothing that is open"),
        ('up{a="}"', "} is missing at its end"),
    ],
)
async def test_brackets_of_metricsql_are_checked_without_a_server(
    problems: Callable[..., Any], vmalert: Callable[[Any], str], expression: str, message: str
) -> None:
    """Contract section 5: "Before anything is written each rule is checked"."""
    [found] = await problems(group(alert(expr=expression)), dialect=VICTORIAMETRICS_RULES)
    assert (found.path, vmalert([group(alert(expr=expression))]) != "") == ("$.groups[0].rules[0].expr", True)
    assert found.message.endswith(message)


SAME_NAME = [
    [alert(labels={"severity": "warning"}, expr="up < 2"), alert(labels={"severity": "critical"}, expr="up < 1")],
    [alert(), alert(labels={"severity": "critical"})],
    [alert("up"), record("up")],
    [record(labels={"a": "b"}), record(labels={"a": "c"})],
]


@BOTH
@pytest.mark.parametrize("rules", SAME_NAME)
async def test_rules_that_share_a_name_and_differ_in_threshold_are_accepted(
    problems: Callable[..., Any], dialect: RuleDialect, rules: list[Any]
) -> None:
    assert await problems(group(*rules), dialect=dialect) == []


async def test_a_duplicate_rule_is_rejected_as_by_promtools_lint(
    problems: Callable[..., Any], promtool: Callable[[Any], str]
) -> None:
    for first, second in [
        (alert(labels={"a": "1", "b": "2"}), alert(labels={"b": "2", "a": "1"}, **{"for": "5m"})),
        (alert(expr="up < 1"), alert(expr="up < 2")),
        (record(), record(expr="min(up)")),
    ]:
        [found] = await problems(group(record("x"), first, second))
        kind = "alert" if "alert" in first else "record"
        assert found.path == f"$.groups[0].rules[2].{kind}"
        assert "expected no two rules of one name and labels: rule 1 of the group is one" in found.message
        assert "duplicate" in promtool([group(record("x"), first, second)])


async def test_a_duplicate_rule_is_rejected_as_by_vmalert(
    problems: Callable[..., Any], vmalert: Callable[[Any], str]
) -> None:
    twice = group(alert(), alert(**{"for": "5m"}))
    thresholds = group(alert(expr="up < 1"), alert(expr="up < 2"))
    [found] = await problems(twice, dialect=VICTORIAMETRICS_RULES)
    assert (found.path, "duplicate" in vmalert([twice])) == ("$.groups[0].rules[1].alert", True)
    assert (await problems(thresholds, dialect=VICTORIAMETRICS_RULES), vmalert([thresholds])) == ([], "")


@BOTH
async def test_a_groups_own_fields_are_checked(problems: Callable[..., Any], dialect: RuleDialect) -> None:
    found = await problems(
        group(alert(), name="a", interval="often"),
        group(name="a", labels={"a b": "{{ no template"}),
        group(name=""),
        group(name="b", labels={"a": "{{ no template"}),
        dialect=dialect,
    )
    assert [problem.path for problem in found] == [
        "$.groups[0].interval",
        "$.groups[1].name",
        "$.groups[1].labels['a b']",
        "$.groups[2].name",
    ]
    assert 'group "a": interval: expected a duration' in found[0].message
    assert 'group "a": name: expected each name of a group once' in found[1].message


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"query_offset": "5x"}, ".query_offset"),
        ({"query_offset": "1m"}, None),
    ],
)
async def test_fields_of_prometheus_groups(problems: Callable[..., Any], fields: Any, path: str | None) -> None:
    found = await problems(group(**fields))
    assert [problem.path for problem in found] == ([] if path is None else [f"$.groups[0]{path}"])


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"eval_offset": "5x"}, ".eval_offset"),
        ({"eval_delay": "soon"}, ".eval_delay"),
        ({"interval": "1m", "eval_offset": "61s"}, ".eval_offset"),
        ({"interval": "1m", "eval_offset": "-2m"}, ".eval_offset"),
        ({"interval": "1m", "eval_offset": "-1m"}, None),
        ({"eval_offset": "5m"}, None),
        ({"eval_offset": "5m", "eval_delay": "1m"}, ".eval_delay"),
        ({"interval": "x", "eval_offset": "61s"}, ".interval"),
    ],
)
async def test_fields_of_victoriametrics_groups(problems: Callable[..., Any], fields: Any, path: str | None) -> None:
    found = await problems(group(**fields), dialect=VICTORIAMETRICS_RULES)
    assert [problem.path for problem in found] == ([] if path is None else [f"$.groups[0]{path}"])


async def test_labels_of_a_recording_rule_are_not_templates(
    problems: Callable[..., Any], promtool: Callable[[Any], str]
) -> None:
    rules = group(record(labels={"a": "{{ nope"}))
    assert (await problems(rules), promtool([rules])) == ([], "")


@BOTH
async def test_empty_values_of_labels_and_annotations_are_accepted(
    problems: Callable[..., Any], dialect: RuleDialect
) -> None:
    assert await problems(group(alert(labels={"a": ""}, annotations={"b": ""})), dialect=dialect) == []


async def test_all_problems_are_reported_together_in_the_order_of_the_file(problems: Callable[..., Any]) -> None:
    bad = alert(expr="up{", labels={"a b": ""}, **{"for": "x"})
    found = await problems(group(bad, bad, interval="x"), group(bad, name="g2"))
    assert [problem.path[: len("$.groups[0]")] for problem in found] == ["$.groups[0]"] * 8 + ["$.groups[1]"] * 3
    assert found[0].path == "$.groups[0].interval"
    assert found[-1].path.startswith("$.groups[1].rules[0]")


@BOTH
async def test_a_file_of_more_than_512_kib_is_rejected(problems: Callable[..., Any], dialect: RuleDialect) -> None:
    """The operators drop a PrometheusRule of more than 512 KiB."""
    fits = [alert(f"A{number}", annotations={"summary": "节" * 1000}) for number in range(150)]
    assert await problems(group(*fits), dialect=dialect) == []
    [found] = await problems(group(*fits, *(record(f"r{number}") for number in range(3000))), dialect=dialect)
    assert (found.path, "at most 524288 bytes" in found.message) == ("$.groups", True)
    [found] = await problems(group(alert(annotations={"a": "x" * 3_000_000})), dialect=dialect)
    assert found.path == "$.groups"


async def test_long_names_are_cut_in_messages(problems: Callable[..., Any]) -> None:
    [found] = await problems(group(alert("A" * 10_000, **{"for": "x"}), name="G" * 10_000))
    assert len(found.message) < 500
