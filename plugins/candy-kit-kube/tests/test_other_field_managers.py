"""Fields, groups and objects of other field managers: named, never overwritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from candy_core import Absent, Anything, FieldConflict, Rule, Stale, Version
from candy_kit_kube import CustomRuleBackend
from candy_kit_kube.ownership import owners

MakeRule = Callable[..., Rule]
MANAGED = {"app.kubernetes.io/managed-by": "candy-agent"}
ALERT = {"alert": "Down", "expr": "up == 0"}


def group(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "rules": [ALERT], **more}


async def test_a_field_changed_by_another_manager_is_a_conflict_that_names_it(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Contract §5: never forced: a foreign field owner is 409 `field_conflict` and named."""
    made = await backend.apply(make_rule(), Absent(), dry_run=False)
    before = objects.apply("highcpu", [group("node")], "argocd-controller", force=True)
    with pytest.raises(Stale):
        await backend.apply(make_rule(), Version(made.version), dry_run=False)
    for dry_run in (False, True):
        with pytest.raises(FieldConflict, match=r"argocd-controller.*") as caught:
            await backend.apply(make_rule(), Anything(), dry_run=dry_run)
        assert "spec.groups" in str(caught.value)
    assert objects.get("highcpu") == before


async def test_a_field_changed_by_an_update_is_a_conflict_too(
    vm_backend: CustomRuleBackend, make_rule: MakeRule, vm_objects: Any
) -> None:
    """Contract §5: named. A manager owns the fields that it changes by an update as well as by an apply."""
    await vm_backend.apply(make_rule("r", "", group("a"), group("b")), Absent(), dry_run=False)
    stored = vm_objects.get("r")
    stored["spec"]["groups"][1]["rules"][0]["expr"] = "up == 1"
    path = vm_objects.resource.path(vm_objects.namespace, "r")
    vm_objects.api.request("PUT", path, stored, query={"fieldManager": "kubectl-edit"})
    with pytest.raises(FieldConflict, match="kubectl-edit") as caught:
        await vm_backend.apply(make_rule("r", "", group("a"), group("b")), Anything(), dry_run=False)
    assert '.spec.groups[name="b"].rules' in str(caught.value)


async def test_a_group_added_by_another_manager_is_named_and_stays(
    vm_backend: CustomRuleBackend, make_rule: MakeRule, vm_objects: Any
) -> None:
    """Contract §5: what is written is what was asked for; a group of another manager would be merged silently."""
    rule = make_rule("r", "", group("ours"))
    made = await vm_backend.apply(rule, Absent(), dry_run=False)
    before = vm_objects.apply("r", [group("theirs")], "helm")
    for expect in (Anything(), Version(before["metadata"]["resourceVersion"])):
        with pytest.raises(FieldConflict, match=r"group 'theirs' belongs to helm"):
            await vm_backend.apply(make_rule("r", "", group("ours", interval="1m")), expect, dry_run=False)
    assert vm_objects.get("r") == before
    assert made.version != before["metadata"]["resourceVersion"]


async def test_a_field_added_to_a_group_by_another_manager_is_named(
    vm_backend: CustomRuleBackend, make_rule: MakeRule, vm_objects: Any
) -> None:
    """Contract §5: a foreign field owner is named."""
    await vm_backend.apply(make_rule("r", "", group("a")), Absent(), dry_run=False)
    vm_objects.apply("r", [{"name": "a", "interval": "7s", "rules": [ALERT]}], "helm")
    with pytest.raises(FieldConflict, match=r"\$\.groups\[0\]\.interval belongs to helm"):
        await vm_backend.apply(make_rule("r", "", group("a")), Anything(), dry_run=False)


async def test_a_group_that_another_manager_also_owns_is_not_removed(
    vm_backend: CustomRuleBackend, make_rule: MakeRule, vm_objects: Any
) -> None:
    """Server-side apply keeps a field that a second manager has applied, after the first no longer applies it."""
    await vm_backend.apply(make_rule("r", "", group("a"), group("b")), Absent(), dry_run=False)
    vm_objects.apply("r", [group("b")], "helm")
    with pytest.raises(FieldConflict, match=r"group 'b' belongs to helm"):
        await vm_backend.apply(make_rule("r", "", group("a")), Anything(), dry_run=False)


async def test_labels_and_annotations_of_others_are_left_alone(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """The agent does not own them, and they do not conflict with its fields."""
    made = await backend.apply(make_rule(), Absent(), dry_run=False)
    body = {"metadata": {"labels": {"team": "sre"}, "annotations": {"note": "seen"}}}
    path = objects.resource.path(objects.namespace, "highcpu")
    objects.api.request("PATCH", path, body, content_type="application/merge-patch+json")
    changed = await backend.apply(make_rule(expr="up == 1"), Anything(), dry_run=False)
    assert changed.rule == make_rule(expr="up == 1")
    metadata = objects.get("highcpu")["metadata"]
    assert (metadata["labels"], metadata["annotations"]["note"]) == ({**MANAGED, "team": "sre"}, "seen")
    assert changed.version != made.version


async def test_an_agent_label_changed_by_another_manager_is_a_conflict(
    cluster: Any, make_rule: MakeRule, objects: Any
) -> None:
    """Contract §5: never forced, also for labels."""

    async def no_problems(rule: Rule) -> tuple[()]:
        return ()

    backend = CustomRuleBackend(cluster, objects.resource, validate=no_problems, labels={"release": "ours"})
    await backend.apply(make_rule(), Absent(), dry_run=False)
    path = objects.resource.path(objects.namespace, "highcpu")
    query = {"fieldManager": "kubectl-label"}
    body = {"metadata": {"labels": {"release": "theirs"}}}
    objects.api.request("PATCH", path, body, query=query, content_type="application/merge-patch+json")
    with pytest.raises(FieldConflict, match="kubectl-label"):
        await backend.apply(make_rule(), Anything(), dry_run=False)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("spec", "groups", {"name": "a"}), ("helm",)),
        (("spec", "groups", {"name": "a"}, "rules", 0, "expr"), ("helm",)),
        (("spec", "groups", {"name": "a"}, "interval"), ()),
        (("spec", "groups", {"name": "b"}), ()),
        (("spec", "groups"), ("helm", "whole")),
        (("spec", "other", "field"), ("whole",)),
        (("metadata", "labels", "team"), ("edit",)),
        (("metadata",), ("edit",)),
    ],
)
def test_owners_are_read_from_managed_fields(path: Any, expected: tuple[str, ...]) -> None:
    """Kubernetes, "Server-Side Apply": a manager owns everything below a leaf of its tree."""
    key = 'k:{"name":"a"}'
    entries = [
        {"manager": "helm", "fieldsV1": {"f:spec": {"f:groups": {key: {".": {}, "f:name": {}, "f:rules": {}}}}}},
        {"manager": "candy-agent", "fieldsV1": {"f:spec": {}}},
        {"manager": "edit", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:team": {}}}}},
        {"manager": "status", "fieldsV1": {"f:status": {}}},
        {"fieldsV1": "nonsense"},
        "nonsense",
    ]
    found: Any = {"metadata": {"managedFields": entries}}
    whole = {"manager": "whole", "fieldsV1": {"f:spec": {".": {}, "f:other": {}}}}
    if "whole" in expected:
        whole = {"manager": "whole", "fieldsV1": {"f:spec": {}}}
        expected = tuple(sorted({*expected, *(("helm",) if path[:2] == ("spec", "groups") else ())}))
    found["metadata"]["managedFields"].append(whole)
    assert owners(found, path, exclude="candy-agent") == expected
