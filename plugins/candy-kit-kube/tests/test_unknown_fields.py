"""Fields that the cluster's definition does not have: named before anything is written, never silently lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_core import Absent, Anything, Invalid, Problem, Rule, RuleRef, Version
from candy_kit_kube import Cluster, CustomRuleBackend
from candy_kit_kube.field_paths import KnownFields, Missing, Unrequested, compare, field_shapes
from candy_kit_kube.problem_paths import rule_problems
from candy_testbed import eventually

MakeRule = Callable[..., Rule]
GROUPS: Any = [
    {"name": "first", "rules": [{"alert": "A", "expr": "a"}]},
    {"name": "second", "rules": [{"alert": "B", "expr": "b", "for": "zz"}, {"record": "c:d"}]},
]


def paths(error: Invalid) -> list[str]:
    return [problem.path for problem in error.problems]


@pytest.mark.parametrize("kind", ["prometheus", "vm"])
async def test_an_unknown_field_is_named_and_nothing_is_written(
    kind: str, backends: Mapping[str, CustomRuleBackend], make_rule: MakeRule, objects: Any, vm_objects: Any
) -> None:
    """Contract §5: before anything is written … each error names group, rule and field."""
    backend = backends[kind]
    made = await backend.apply(make_rule("there", "", *GROUPS[:1]), Absent(), dry_run=False)
    wrong = {"name": "second", "rules": [{"alert": "B", "expr": "b"}, {"alert": "C", "expr": "c", "fro": "5m"}]}
    for dry_run in (True, False):
        with pytest.raises(Invalid) as caught:
            await backend.apply(make_rule("new", "", *GROUPS[:1], wrong), Absent(), dry_run=dry_run)
        assert paths(caught.value) == ["$.groups[1].rules[1].fro"]
        with pytest.raises(Invalid) as caught:
            await backend.apply(make_rule("there", "", *GROUPS[:1], wrong), Anything(), dry_run=dry_run)
        assert paths(caught.value) == ["$.groups[1].rules[1].fro"]
    assert sorted(objects.names() + vm_objects.names()) == ["there"]
    assert await backend.get(made.rule.ref) == made


async def test_problems_from_the_api_server_have_the_paths_of_a_rule_file(
    backend: CustomRuleBackend, vm_backend: CustomRuleBackend, make_rule: MakeRule
) -> None:
    """Contract §5: `$.groups[0].rules[1].expr`, although this API server names fields without indices."""
    with pytest.raises(Invalid) as caught:
        await backend.apply(make_rule("r", "", *GROUPS), Absent(), dry_run=True)
    assert sorted(paths(caught.value)) == ["$.groups[1].rules[0].for", "$.groups[1].rules[1].expr"]
    wrong = {"name": "w", "interval": 5, "rules": [{"alert": "A", "expr": "a", "labels": {"severity": 1}}]}
    with pytest.raises(Invalid) as caught:
        await vm_backend.apply(make_rule("r", "", GROUPS[0], wrong), Absent(), dry_run=True)
    assert sorted(paths(caught.value)) == ["$.groups[1].interval", "$.groups[1].rules[0].labels.severity"]


async def test_two_groups_with_one_name_are_rejected(
    backend: CustomRuleBackend, vm_backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Lists with keys have each key once; this API server returns 500 for a duplicate, but the rule is wrong."""
    for each in (backend, vm_backend):
        with pytest.raises(Invalid, match=r"\$\.groups"):
            await each.apply(make_rule("r", "", GROUPS[0], GROUPS[0]), Absent(), dry_run=False)
    assert objects.names() == []


async def test_a_create_is_one_request_if_the_fields_are_known(
    cluster: Cluster, objects: Any, make_rule: MakeRule
) -> None:
    """For a sync of thousands of rules: the backend learns which fields are kept, and does not check each time."""
    sent: list[tuple[str, bool]] = []

    class Counting:
        async def request(self, method: str, path: str, **more: Any) -> Any:
            sent.append((method, "dryRun" in more.get("query", {})))
            return await cluster.request(method, path, **more)

    async def no_problems(rule: Rule) -> tuple[()]:
        return ()

    backend = CustomRuleBackend(Counting(), objects.resource, validate=no_problems)  # type: ignore[arg-type]
    await backend.apply(make_rule("a"), Absent(), dry_run=False)
    assert sent == [("PATCH", True), ("PATCH", False)]
    sent.clear()
    await backend.apply(make_rule("b", "up == 1"), Absent(), dry_run=False)
    assert sent == [("PATCH", False)]
    sent.clear()
    await backend.apply(make_rule("c", "", GROUPS[0]), Absent(), dry_run=False)
    assert sent == [("PATCH", False)], "fewer fields are known as well"
    sent.clear()
    more = {"name": "g", "interval": "1m", "rules": [{"alert": "A", "expr": "a", "labels": {"team": "x"}}]}
    await backend.apply(make_rule("d", "", more), Absent(), dry_run=False)
    assert sent == [("PATCH", True), ("PATCH", False)], "an unknown field is checked"


async def test_a_definition_that_later_drops_a_field_loses_no_rule(
    third: Any, third_backend: CustomRuleBackend, kube_cluster: Any, kube_namespace: str
) -> None:
    """Contract §5: a pruned field is an error. If the definition has changed, the new object is deleted again."""

    async def no_problems(rule: Rule) -> tuple[()]:
        return ()

    def rule(name: str, *groups: Any) -> Rule:
        return Rule(ref=RuleRef(name=name, namespace=kube_namespace), groups=groups)

    third("name", "a", "b")
    backend, resource = third_backend, third.resource
    both = {"name": "g", "a": "1", "b": "2"}
    await backend.apply(rule("known", both), Absent(), dry_run=False)
    third("name", "a")

    async def pruned() -> bool:
        (planned,) = kube_cluster.api.apply(
            {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "metadata": {"name": "probe", "namespace": kube_namespace},
                "spec": {"groups": [both]},
            },
            dry_run=True,
        )
        return "b" not in planned["spec"]["groups"][0]

    await eventually(pruned)
    with pytest.raises(Invalid) as caught:
        await backend.apply(rule("new", both), Absent(), dry_run=False)
    assert paths(caught.value) == ["$.groups[0].b"]
    assert "thirdrules.rules.example.com" in str(caught.value)
    listed = await backend.list(kube_namespace, limit=10, cursor=None)
    assert [each.object_name for each in listed.rules] == ["known"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
GROUP = st.fixed_dictionaries({"name": st.sampled_from("xyz")}, optional={"a": JSON, "b": JSON})


@given(groups=st.lists(GROUP, max_size=4))
def test_unchanged_groups_have_no_differences(groups: Any) -> None:
    """For any groups, and for groups with different names in any order."""
    assert list(compare(groups, groups)) == []
    names = [each["name"] for each in groups]
    if len(set(names)) == len(names):
        assert list(compare(groups, groups[::-1])) == []
    known = KnownFields()
    assert known.contains(groups) == (not field_shapes(groups))
    known.learn(groups)
    assert known.contains(groups)
    assert known.contains(groups[1:])


@given(groups=st.lists(GROUP, min_size=1, max_size=3), data=st.data())
def test_a_missing_field_is_found(groups: Any, data: st.DataObject) -> None:
    """And so is an additional one."""
    index = data.draw(st.integers(0, len(groups) - 1))
    wanted = [dict(each) for each in groups]
    wanted[index]["lost"] = 1
    (missing,) = compare(wanted, groups)
    assert missing == Missing(path=f"$.groups[{index}].lost")
    (added,) = compare(groups, wanted)
    assert isinstance(added, Unrequested)
    assert added.shown == f"$.groups[{index}].lost"


@pytest.mark.parametrize(
    ("path", "message", "expected"),
    [
        ("$.spec.groups[0].rules[0].expr", "bad", ["$.groups[0].rules[0].expr"]),
        ('$.spec.groups[name="second"].rules[0].for', "bad", ["$.groups[1].rules[0].for"]),
        ('$.spec.groups[name="unknown"].for', "bad", ['$.groups[name="unknown"].for']),
        ("$.spec.groups.rules.expr", "Required value", ["$.groups[1].rules[1].expr"]),
        ("$.spec.groups.rules.for", 'Invalid value: "zz": should match', ["$.groups[1].rules[0].for"]),
        ("$.spec.groups.rules.expr", "says nothing", ["$.groups[0].rules[0].expr", "$.groups[1].rules[0].expr"]),
        ("$.spec.groups.nothing", "Required value", ["$.groups[0].nothing", "$.groups[1].nothing"]),
        ("$.spec.groups.rules.zzz.y", "bad", ["$.groups.rules.zzz.y"]),
        ("$.spec.groups", "duplicate", ["$.groups"]),
        ("$.metadata.labels", "bad", ["$.metadata.labels"]),
        ("$.<nil>", "bad", ["$"]),
    ],
)
def test_paths_of_the_api_server_are_converted_to_those_of_a_rule_file(
    path: str, message: str, expected: list[str]
) -> None:
    """Contract §5: `$.groups[0].rules[1].expr`."""
    assert [problem.path for problem in rule_problems([Problem(path, message)], GROUPS)] == expected


def test_a_problem_without_a_path_is_kept_only_if_there_is_no_other() -> None:
    """The API server reports the same problem twice, once without a path."""
    both = [Problem("$.<nil>", "b"), Problem("$.spec.groups[0].name", "a"), Problem("$.spec.groups[0].name", "a")]
    assert rule_problems(both, GROUPS) == (Problem("$.groups[0].name", "a"),)
    assert rule_problems(both[:1], GROUPS) == (Problem("$", "b"),)


async def test_defaults_of_the_definition_are_not_a_conflict(
    third: Any, third_backend: CustomRuleBackend, kube_namespace: str
) -> None:
    """A definition may set defaults; they belong to no field manager."""

    async def no_problems(rule: Rule) -> tuple[()]:
        return ()

    third("name", interval={"type": "string", "default": "1m"})
    backend = third_backend
    rule = Rule(ref=RuleRef(name="r", namespace=kube_namespace), groups=({"name": "g"},))
    made = await backend.apply(rule, Absent(), dry_run=False)
    assert made.rule.groups == ({"name": "g", "interval": "1m"},)
    await backend.apply(rule, Version(made.version), dry_run=False)
