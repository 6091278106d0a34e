"""The content of a rule: expressions, rule files, defaults, and the export (contract section 5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candy_core.codec import params_reader, to_json
from candy_core.errors import Invalid
from candy_core.model.rule import Rule, RuleRef, StoredRule
from candy_core.rules.annotations import answer_of, has_drifted, is_like, rule_of, spec_hash
from candy_core.rules.content import content_of, groups_of
from candy_core.rules.documents import RuleDraft
from tests.rules.test_yaml import TEXTS, VALUES
from tests.testing.rule_backend.folder import FolderGroup

FILE = """
groups:
- name: node
  interval: 30s
  limit: 10
  rules:
  - record: job:up
    expr: sum by (job) (up)
  - alert: Down
    expr: up == 0
    for: 1m
    labels: {severity: critical, version: 1.10}
    annotations:
      summary: No
"""
GROUPS: tuple[dict[str, Any], ...] = (
    {
        "name": "node",
        "interval": "30s",
        "limit": 10,
        "rules": [
            {"expr": "sum by (job) (up)", "record": "job:up"},
            {
                "expr": "up == 0",
                "alert": "Down",
                "for": "1m",
                "labels": {"severity": "critical", "version": "1.10"},
                "annotations": {"summary": "No"},
            },
        ],
    },
)


def draft(content: Any, **more: Any) -> RuleDraft:
    return RuleDraft(**{"name": "HighCPUUsage", "type": "folder", "content": content, **more})


def groups_read(content: Any, group: type | None = FolderGroup, **more: Any) -> Any:
    """The groups, loosely typed for tests."""
    return groups_of(draft(content, **more), group)


def problems_of(content: Any, group: type | None = FolderGroup, **more: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        groups_of(draft(content, **more), group)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_an_expression_becomes_one_alert_named_after_the_rule() -> None:
    """Contract §5: 'An expression becomes one alert named after the rule, label `severity: warning`', `for` `5m`."""
    assert groups_of(draft(" cpu > 80\n", config_map="rules", key="cpu-alerts.yaml"), FolderGroup) == (
        {
            "name": "cpu-alerts",
            "rules": [{"expr": "cpu > 80", "alert": "HighCPUUsage", "for": "5m", "labels": {"severity": "warning"}}],
        },
    )


@pytest.mark.parametrize(
    ("key", "group"), [("", "HighCPUUsage"), ("a.b.yaml", "a.b"), ("plain", "plain"), (".x", ".x")]
)
def test_the_group_is_named_after_the_key_without_its_ending(key: str, group: str) -> None:
    """Contract §5: 'the group is named after `key` (without its ending)'."""
    assert groups_of(draft("up", key=key), None)[0]["name"] == group


def test_the_alert_has_the_fields_of_the_request() -> None:
    (group,) = groups_read("up", None, for_="1h", labels={"team": "a"}, annotations={"summary": "No"})
    assert group["rules"] == [
        {
            "alert": "HighCPUUsage",
            "expr": "up",
            "for": "1h",
            "labels": {"severity": "warning", "team": "a"},
            "annotations": {"summary": "No"},
        }
    ]
    (group,) = groups_read("up", None, labels={"severity": "page"})
    assert group["rules"][0]["labels"] == {"severity": "page"}


@pytest.mark.parametrize(
    "content",
    [
        FILE,
        "\ufeff# a comment\n---" + FILE,
        FILE.replace("\n", "\r\n"),
        json.dumps({"groups": GROUPS}),
        json.dumps({"groups": GROUPS}, indent=2),
        {"groups": GROUPS},
        {"groups": [{**GROUPS[0], "limit": "10", "interval": "30s"}]},
        "{groups: [" + json.dumps(GROUPS[0]) + "]}",
    ],
)
def test_a_rule_file_is_read_in_every_form(content: Any) -> None:
    """Contract §5: 'a rule file (`groups: …`) as YAML or JSON text, or as a JSON object'; text is kept as text."""
    assert groups_of(draft(content), FolderGroup) == GROUPS


@pytest.mark.parametrize(
    "expression",
    [
        '{__name__="up"} == 0',
        '{job="groups:"} > 1',
        "groups:rate5m > 5",
        "a:b:c > 5",
        "- up > 5",
        "# groups:\nup == 0",
        'sum(\n  rate(x{a="b"}[5m])\n) > 0',
        '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100) > 80',
        '{"metric.name", a="b"}',
    ],
)
def test_an_expression_is_not_taken_for_a_rule_file(expression: str) -> None:
    assert groups_read(expression, None)[0]["rules"][0]["expr"] == expression


def test_alerts_in_a_file_are_completed_from_the_request() -> None:
    more: dict[str, Any] = {
        "for_": "2h",
        "labels": {"severity": "page", "team": "a"},
        "annotations": {"runbook": "r", "summary": "x"},
    }
    file = {"groups": [{"name": "a", "rules": [*GROUPS[0]["rules"], {"alert": "Bare", "expr": "up"}]}]}
    before = json.dumps(file)
    recording, down, bare = groups_read(file, **more)[0]["rules"]
    assert recording == {"expr": "sum by (job) (up)", "record": "job:up"}
    assert down["for"] == "1m"
    assert down["labels"] == {"severity": "critical", "team": "a", "version": "1.10"}
    assert down["annotations"] == {"summary": "No", "runbook": "r"}
    assert bare == {"expr": "up", "alert": "Bare", **{key.strip("_"): value for key, value in more.items()}}
    assert json.dumps(file) == before
    untouched = groups_read(file)[0]["rules"]
    assert untouched[2] == {"expr": "up", "alert": "Bare"}


@pytest.mark.parametrize(
    ("content", "path", "says"),
    [
        ("", "$.content", "not an empty text"),
        (" \n", "$.content", "not an empty text"),
        (5, "$.content", "expected an expression"),
        (None, "$.content", "expected an expression"),
        ([], "$.content", "expected an expression"),
        ("group:\n- name: a\n", "$.content", "whose first key is groups"),
        ("# mine\n- alert: A\n  expr: up\n", "$.content", "whose first key is groups"),
        ("  - - 'name': a\n", "$.content", "whose first key is groups"),
        (json.dumps(GROUPS), "$.content", "whose first key is groups"),
        ('{"a": 1}', "$.content.a", "allowed: groups"),
        ({"groups": []}, "$.groups", "at least one group"),
        ({"groups": GROUPS, "group": 1}, "$.content.group", "did you mean groups"),
        ({"groups": {"a": 1}}, "$.groups", "expected a list"),
        ({"apiVersion": "v1", "kind": "PrometheusRule", "spec": {}}, "$.content", "give its spec"),
        ("groups:\n- name: a\n  name: b\n", "$.content", "line 3: duplicate key 'name'"),
        ("groups: [\n", "$.content", "not YAML"),
        ("groups:\n- x\n", "$.groups[0]", "expected an object"),
        ("x" * (512 * 1024 + 1), "$.content", "at most 524288 bytes"),
        ({"groups": [{"name": "x" * (512 * 1024), "rules": []}]}, "$.content", "at most 524288 bytes"),
    ],
)
def test_invalid_content_is_rejected(content: Any, path: str, says: str) -> None:
    assert says in problems_of(content)[path]


def test_every_problem_of_the_groups_is_named_by_group_rule_and_field() -> None:
    """Contract §5: 'each error names group, rule and field: `$.groups[0].rules[1].expr`'."""
    found = problems_of(
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n  - alert: B\n    exprr: up\n"
        "- nam: b\n  limit: many\n  rules: 5\n- 7\n"
    )
    assert set(found) == {
        "$.groups[0].rules[1].expr",
        "$.groups[0].rules[1].exprr",
        "$.groups[1].name",
        "$.groups[1].nam",
        "$.groups[1].limit",
        "$.groups[1].rules[0]",
        "$.groups[2]",
    }
    assert "did you mean expr?" in found["$.groups[0].rules[1].exprr"]


def stored_of(desired: Rule, **more: Any) -> StoredRule:
    return StoredRule(**{"rule": desired, "version": "1", "object_name": "o", "managed": True, **more})


def sent_back(stored: StoredRule, group: type | None) -> Rule:
    """The rule of a PUT with the body of a GET."""
    answer: Any = to_json(answer_of(stored, "folder", group))
    body = json.loads(json.dumps(answer))
    body["for_"] = body.pop("for")
    again = RuleDraft(**body)
    return rule_of(again, groups_of(again, group))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(TEXTS, VALUES), min_size=1, max_size=3))
def test_any_groups_come_back_equal_through_the_export(groups: list[dict[str, Any]]) -> None:
    """Contract §5: 'content comes back as the rule file in YAML'; what is read and sent back is the same."""
    assert groups_of(draft(content_of(groups, None)), None) == tuple(groups)


_LABELS = st.none() | st.dictionaries(TEXTS, TEXTS, max_size=3)
_RULES = st.fixed_dictionaries(
    {"expr": TEXTS.filter(bool)},
    optional={"alert": TEXTS, "record": TEXTS, "for": TEXTS, "labels": _LABELS, "annotations": _LABELS},
)
_GROUPS = st.lists(
    st.fixed_dictionaries(
        {"name": TEXTS.filter(bool), "rules": st.lists(_RULES, max_size=3)},
        optional={"interval": TEXTS, "limit": st.integers(-(2**31), 2**31)},
    ),
    min_size=1,
    max_size=2,
)


@settings(max_examples=150, deadline=None)
@given(_GROUPS, TEXTS, TEXTS)
def test_a_rule_that_is_read_and_sent_back_is_the_same(groups: Any, key: str, config_map: str) -> None:
    """GET, then PUT of the same body: nothing changes, whatever the rule holds."""
    first = draft({"groups": groups}, key=key, config_map=config_map)
    for group in (FolderGroup, None):
        desired = rule_of(first, groups_of(first, group))
        assert is_like(stored_of(desired), sent_back(stored_of(desired), group))
        if group is FolderGroup:
            assert sent_back(stored_of(desired), group) == desired


def test_a_response_has_the_fields_of_a_single_alert() -> None:
    def fields_of(*rules: Mapping[str, Any]) -> tuple[Any, ...]:
        desired = Rule(ref=RuleRef(name="a"), groups=({"name": "g", "rules": list(rules)},))
        answer = answer_of(stored_of(desired), "folder", None)
        return answer.for_, answer.labels, answer.annotations

    alert = {"alert": "A", "expr": "up", "for": "5m", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    assert fields_of(alert) == fields_of({"record": "x", "expr": "up"}, alert) == ("5m", {"a": "b"}, {"c": "d"})
    assert fields_of() == fields_of(alert, alert) == fields_of({"alert": "A"}) == ("", {}, {})
    assert fields_of({"alert": "A", "for": 5, "labels": "x", "annotations": {"n": 1}}) == ("", {}, {})


def test_the_hash_depends_on_the_value_and_not_on_its_spelling() -> None:
    """Contract §5: 'managed objects whose spec differs from the hash kept in an annotation at the last write'."""
    one: dict[str, Any] = {"name": "a", "limit": 1, "labels": {"x": "1", "y": "2"}}
    assert spec_hash([one]) == spec_hash([{"labels": {"y": "2", "x": "1"}, "limit": 1.0, "name": "a", "gone": None}])
    assert spec_hash([one]) != spec_hash([one | {"limit": "1"}])
    desired = rule_of(draft(FILE), groups_of(draft(FILE), FolderGroup))
    assert not has_drifted(stored_of(desired))
    other = Rule(ref=desired.ref, groups=(one,), annotations=desired.annotations)
    assert has_drifted(stored_of(other))
    assert not has_drifted(stored_of(other, managed=False))
    assert has_drifted(stored_of(Rule(ref=desired.ref, groups=desired.groups)))


def test_a_canonical_group_does_not_change() -> None:
    for group in GROUPS:
        assert to_json(params_reader.read(group, FolderGroup), drop_none=True) == group
