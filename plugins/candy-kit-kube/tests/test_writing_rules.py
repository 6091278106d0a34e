"""Writing to a real API server: of concurrent writers one succeeds, and no change is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from candy_core import (
    Absent,
    Anything,
    CandyError,
    Exists,
    Invalid,
    NotFound,
    NotManaged,
    Rule,
    RuleRef,
    Stale,
    StoredRule,
    Version,
)
from candy_kit_kube import CustomRuleBackend

MakeRule = Callable[..., Rule]
ANNOTATION = "candy-agent.io/name"


async def outcomes(*calls: Any) -> list[StoredRule | BaseException]:
    """The results of concurrent calls."""
    found: list[StoredRule | BaseException] = await asyncio.gather(*calls, return_exceptions=True)
    return found


async def test_a_rule_is_created_and_read_back(backend: CustomRuleBackend, make_rule: MakeRule, objects: Any) -> None:
    """Contract §5: `HighCPUUsage` is no legal object name … the original stands in an annotation."""
    rule = make_rule("HighCPUUsage", "up == 0", config_map="rules", key="node.yaml")
    made = await backend.apply(rule, Absent(), dry_run=False)
    assert (made.object_name, made.managed, made.rule) == ("highcpuusage", True, rule)
    assert await backend.get(rule.ref) == made
    stored = objects.get("highcpuusage")
    assert stored["metadata"]["annotations"][ANNOTATION] == "HighCPUUsage"
    assert stored["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "candy-agent"}
    assert [(each["manager"], each["operation"]) for each in stored["metadata"]["managedFields"]] == [
        ("candy-agent", "Apply")
    ]
    assert made.version == stored["metadata"]["resourceVersion"]
    assert made.created_at is not None
    assert made.updated_at is not None
    assert made.updated_at >= made.created_at


async def test_every_character_is_stored_unchanged(backend: CustomRuleBackend, make_rule: MakeRule) -> None:
    """The body of an apply is parsed as YAML, which folds U+0085 and U+2028 and rejects characters that JSON allows.

    Contract §1: "Non-ASCII is sent as is"; §5: "the original stands in an annotation".
    """
    letters = [*map(chr, range(0xA1)), "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff", "\ue000", "节", "\U0010ffff"]
    text = "|".join(f"a {letter} b" for letter in letters)
    group = {"name": text, "rules": [{"alert": "A", "expr": "up", "annotations": {"summary": text}}]}
    rule = make_rule("a \x85 b", "", group, key="\x85 \u2028\x9f")
    made = await backend.apply(rule, Absent(), dry_run=False)
    assert made.rule == rule
    assert await backend.get(rule.ref) == made


@pytest.mark.parametrize("known", [False, True])
async def test_of_concurrent_creates_one_succeeds(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any, known: bool
) -> None:
    """Contract §5: every apply with a resourceVersion, for a create one that cannot match; 409 `exists`."""
    if known:  # then a create is one request, without a dry run
        await backend.apply(make_rule("first"), Absent(), dry_run=False)
    found = await outcomes(
        *(backend.apply(make_rule("concurrent", f"up == {n}"), Absent(), dry_run=False) for n in range(12))
    )
    won = [each for each in found if isinstance(each, StoredRule)]
    assert len(won) == 1
    assert [type(each) for each in found if each is not won[0]] == [Exists] * 11
    assert objects.get("concurrent")["spec"]["groups"] == list(won[0].rule.groups)


async def test_of_concurrent_updates_one_succeeds(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Contract §5: every apply with a resourceVersion (of what was read); 409 `stale`."""
    made = await backend.apply(make_rule(), Absent(), dry_run=False)
    expect = Version(made.version)
    found = await outcomes(*(backend.apply(make_rule(expr=f"up == {n}"), expect, dry_run=False) for n in range(1, 13)))
    won = [each for each in found if isinstance(each, StoredRule)]
    assert len(won) == 1
    assert [type(each) for each in found if each is not won[0]] == [Stale] * 11
    assert objects.get("highcpu")["spec"]["groups"] == list(won[0].rule.groups)
    assert won[0].version != made.version


async def test_an_update_without_a_version_succeeds_while_others_write(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """The port: with `Anything` the rule is replaced, or created."""
    first, second = await asyncio.gather(
        *(backend.apply(make_rule(expr=f"up == {n}"), Anything(), dry_run=False) for n in (1, 2))
    )
    assert first.version != second.version
    assert objects.get("highcpu")["spec"]["groups"][0]["rules"][0]["expr"] in ("up == 1", "up == 2")


async def test_an_old_version_is_stale_and_a_missing_rule_is_not_found(
    backend: CustomRuleBackend, make_rule: MakeRule
) -> None:
    """Contract §5: 404; 409 `stale` if `resource_version` is given and old."""
    made = await backend.apply(make_rule(), Absent(), dry_run=False)
    with pytest.raises(NotFound):
        await backend.apply(make_rule("other"), Version(made.version), dry_run=False)
    await backend.apply(make_rule(expr="up == 1"), Version(made.version), dry_run=False)
    with pytest.raises(Stale, match=made.version):
        await backend.apply(make_rule(expr="up == 2"), Version(made.version), dry_run=False)
    with pytest.raises(Stale):
        await backend.delete(made.rule.ref, Version(made.version), dry_run=False)


async def test_an_update_replaces_groups_fields_and_annotations(
    backend: CustomRuleBackend, vm_backend: CustomRuleBackend, make_rule: MakeRule
) -> None:
    """Fields that the agent no longer applies are removed."""
    alert = {"alert": "Down", "expr": "up == 0"}
    more = [{"name": "a", "interval": "30s", "rules": [{**alert, "for": "5m"}]}, {"name": "b", "rules": [alert]}]
    less = [{"name": "a", "rules": [alert]}]
    for each in (backend, vm_backend):
        made = await each.apply(make_rule("r", "", *more, key="k"), Absent(), dry_run=False)
        assert list(made.rule.groups) == more
        changed = await each.apply(make_rule("r", "", *less), Version(made.version), dry_run=False)
        assert (list(changed.rule.groups), changed.rule.annotations) == (less, {})
        assert await each.get(made.rule.ref) == changed


async def test_two_names_that_map_to_one_object_exist(backend: CustomRuleBackend, make_rule: MakeRule) -> None:
    """Contract §5: two names that meet in one object are a 409 `exists`; GET by the other name is 404."""
    await backend.apply(make_rule("HighCPU"), Absent(), dry_run=False)
    for expect in (Absent(), Anything()):
        with pytest.raises(Exists, match="HighCPU"):
            await backend.apply(make_rule("highCPU"), expect, dry_run=False)
    other = make_rule("highCPU").ref
    with pytest.raises(NotFound):
        await backend.get(other)
    with pytest.raises(NotFound):
        await backend.delete(other, Anything(), dry_run=False)
    assert (await backend.get(make_rule("HighCPU").ref)).rule == make_rule("HighCPU")


async def test_an_unmanaged_object_is_read_and_never_changed(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Contract §5: what the agent does not manage it reads, but neither changes nor deletes: 403 `not_managed`."""
    groups = [{"name": "g", "rules": [{"record": "a:b", "expr": 1}]}]
    before = objects.apply("kube.node-rules", groups, labels={"release": "monitoring"})
    rule = make_rule("kube.node-rules")
    read = await backend.get(rule.ref)
    assert (read.managed, read.rule.ref, list(read.rule.groups)) == (False, rule.ref, groups)
    for dry_run in (False, True):
        for expect in (Anything(), Version(read.version), Version("old")):
            with pytest.raises(NotManaged, match=r"kube\.node-rules"):
                await backend.apply(rule, expect, dry_run=dry_run)
            with pytest.raises(NotManaged):
                await backend.delete(rule.ref, expect, dry_run=dry_run)
        with pytest.raises(Exists, match="does not manage"):
            await backend.apply(rule, Absent(), dry_run=dry_run)
    assert objects.get("kube.node-rules") == before


async def test_a_copy_of_a_managed_object_is_not_managed(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Two objects would have one name, and a prune could not tell them apart."""
    labels = {"app.kubernetes.io/managed-by": "candy-agent"}
    objects.apply("copy", [], labels=labels, annotations={ANNOTATION: "HighCPU"})
    copied = await backend.get(make_rule("copy").ref)
    assert (copied.managed, copied.rule.ref.name) == (False, "copy")


async def test_a_dry_run_writes_nothing_and_has_the_same_result(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Contract §5: POST, PUT, DELETE and sync take `dry_run`."""
    planned = await backend.apply(make_rule(), Absent(), dry_run=True)
    assert (planned.rule, planned.managed, planned.object_name) == (make_rule(), True, "highcpu")
    assert objects.names() == []
    made = await backend.apply(make_rule(), Absent(), dry_run=False)
    before = objects.get("highcpu")
    with pytest.raises(Exists):
        await backend.apply(make_rule(), Absent(), dry_run=True)
    changed = await backend.apply(make_rule(expr="up == 7"), Version(made.version), dry_run=True)
    assert changed.rule == make_rule(expr="up == 7")
    assert (await backend.delete(made.rule.ref, Anything(), dry_run=True)).rule == made.rule
    assert objects.get("highcpu") == before


async def test_a_delete_returns_the_rule_and_a_second_one_finds_nothing(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Contract §5: 200 the rule deleted; 404."""
    made = await backend.apply(make_rule(), Absent(), dry_run=False)
    assert await backend.delete(made.rule.ref, Version(made.version), dry_run=False) == made
    assert objects.names() == []
    for expect in (Anything(), Version(made.version), Absent()):
        with pytest.raises(NotFound):
            await backend.delete(made.rule.ref, expect, dry_run=False)


async def test_of_a_concurrent_delete_and_update_one_succeeds(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Contract §5: every delete with uid and version as preconditions; an apply does not recreate a deleted object."""
    for n in range(8):
        made = await backend.apply(make_rule(expr="up == 0"), Absent(), dry_run=False)
        expect = Version(made.version)
        found = await outcomes(
            backend.delete(made.rule.ref, expect, dry_run=False),
            backend.apply(make_rule(expr=f"up == {n + 1}"), expect, dry_run=False),
        )
        failed = [each for each in found if isinstance(each, CandyError)]
        assert [type(each) in (Stale, NotFound) for each in failed] == [True], found
        assert objects.names() == ([] if isinstance(found[0], StoredRule) else ["highcpu"])
        objects.delete("highcpu")


async def test_a_recreated_object_is_not_the_one_that_was_read(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Contract §5: preconditions uid and version."""
    made = await backend.apply(make_rule(), Absent(), dry_run=False)
    await backend.delete(made.rule.ref, Anything(), dry_run=False)
    again = await backend.apply(make_rule(), Absent(), dry_run=False)
    with pytest.raises(Stale):
        await backend.apply(make_rule(expr="up == 1"), Version(made.version), dry_run=False)
    with pytest.raises(Stale):
        await backend.delete(made.rule.ref, Version(made.version), dry_run=False)
    assert await backend.get(made.rule.ref) == again


async def test_an_invalid_namespace_is_never_sent_to_the_cluster(backend: CustomRuleBackend) -> None:
    """Contract §1: errors list every problem; callers must not be able to construct a path of the API."""
    for name in ("../../../api/v1", "A", "", "x" * 64, "a/b", "a.b"):
        rule = Rule(ref=RuleRef(name="a", namespace=name), groups=())
        calls = [backend.get(rule.ref), backend.delete(rule.ref, Anything(), dry_run=False)]
        calls += [backend.apply(rule, Absent(), dry_run=False)]
        for call in calls:
            with pytest.raises(Invalid, match=r"\$\.namespace"):
                await call
        with pytest.raises(Invalid, match=r"\$\.namespace"):
            await backend.list(name, limit=1, cursor=None)
    with pytest.raises(NotFound, match="missing"):
        await backend.apply(Rule(ref=RuleRef(name="a", namespace="missing"), groups=()), Absent(), dry_run=False)


async def test_a_name_may_contain_any_character(backend: CustomRuleBackend, make_rule: MakeRule) -> None:
    """Contract §5: nothing left, or over 253: `rule-` + 8 hex of sha256."""
    for name in ("../x", "节点宕机", "a%2Fb?x=1#y", "x" * 253, "A" * 300, "-"):
        made = await backend.apply(make_rule(name), Absent(), dry_run=False)
        assert (await backend.get(made.rule.ref)).rule.ref.name == name
        assert (await backend.delete(made.rule.ref, Version(made.version), dry_run=False)).rule == made.rule


async def test_the_labels_of_the_settings_are_set_on_every_object(
    cluster: Any, make_rule: MakeRule, objects: Any
) -> None:
    """An operator's ruleSelector may select rules by labels."""
    from_settings = {"release": "kube-prometheus"}

    async def no_problems(rule: Rule) -> tuple[()]:
        return ()

    backend = CustomRuleBackend(cluster, objects.resource, validate=no_problems, labels=from_settings)
    made = await backend.apply(make_rule(), Absent(), dry_run=False)
    await backend.apply(evolve(make_rule(), groups=()), Version(made.version), dry_run=False)
    assert objects.get("highcpu")["metadata"]["labels"] == from_settings | {
        "app.kubernetes.io/managed-by": "candy-agent"
    }
