"""Single rules and lists of rules over a real backend (contract section 5)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from candy_core.codec import to_json
from candy_core.errors import (
    BackendUnavailable,
    Conflict,
    Exists,
    FieldConflict,
    Invalid,
    NotFound,
    NotManaged,
    Stale,
)
from candy_core.model.rule import RuleRef
from candy_core.rules import ListFilter
from tests.rules.conftest import OpenSetup, RuleSetup, rule
from tests.rules.test_content import FILE

ALL = ListFilter()


async def sent_back(setup: RuleSetup, name: str, **changes: object) -> Any:
    """The response to a GET, as the body of a PUT."""
    answer: Any = to_json(await setup.rules.read(RuleRef(name=name), None))
    return answer | changes


async def test_a_rule_is_created_read_changed_and_deleted(setup: RuleSetup) -> None:
    """Contract §5: 'An answer has these and `managed`, `object_name`, `created_at`, `updated_at`'."""
    made, written = await setup.rules.create(rule(config_map="rules", key="cpu.yaml", namespace="default"))
    assert written
    assert (made.name, made.object_name, made.namespace, made.managed) == (
        "HighCPUUsage",
        "highcpuusage",
        "default",
        True,
    )
    assert (made.config_map, made.key, made.for_, made.labels) == ("rules", "cpu.yaml", "5m", {"severity": "warning"})
    assert made.created_at is not None
    ref = RuleRef(name="HighCPUUsage", namespace="default")
    assert await setup.rules.read(ref, None) == as_type(made, "Folder")
    assert await setup.rules.read(ref, "dir") == as_type(made, "dir")
    changed = await setup.rules.replace(
        rule(content="cpu > 90", namespace="default", resource_version=made.resource_version)
    )
    assert "cpu > 90" in changed.content
    assert (changed.config_map, changed.key) == ("", "")
    gone = await setup.rules.delete({"name": "HighCPUUsage", "type": "folder", "namespace": "default"})
    assert gone == as_type(changed, "folder")
    with pytest.raises(NotFound):
        await setup.rules.read(ref, None)
    assert setup.names("default") == set()


def as_type(answer: Any, type_name: str) -> Any:
    return evolve(answer, type=type_name)


async def test_a_name_that_exists_or_has_the_same_object_is_rejected(setup: RuleSetup) -> None:
    """Contract §5: 'POST … 201 the rule; 409 exists'; 'two names that meet in one object are a 409 exists'."""
    await setup.rules.create(rule("High CPU"))
    for name in ("High CPU", "high-cpu"):
        with pytest.raises(Exists):
            await setup.rules.create(rule(name))
    with pytest.raises(NotFound):
        await setup.rules.read(RuleRef(name="high-cpu"), "folder")
    with pytest.raises(NotFound):
        await setup.rules.replace(rule("high-cpu"))


async def test_a_change_on_an_old_version_is_stale(setup: RuleSetup) -> None:
    """Contract §5: 'PUT … 200; 404; 409 stale if resource_version is given and old'."""
    made, _ = await setup.rules.create(rule())
    setup.rewrite("HighCPUUsage", comment="touched")
    with pytest.raises(Stale):
        await setup.rules.replace(rule(content="x", resource_version=made.resource_version))
    with pytest.raises(Stale):
        await setup.rules.delete({"name": "HighCPUUsage", "resource_version": made.resource_version})
    assert (await setup.rules.replace(rule(content="x > 1"))).content.count("x > 1") == 1
    with pytest.raises(NotFound):
        await setup.rules.replace(rule("Other"))


async def test_of_many_changes_without_a_version_none_is_lost_silently(setup: RuleSetup) -> None:
    """A change in between is a 409: a change that succeeds is based on the version that was read."""
    await setup.rules.create(rule())

    async def change(number: int) -> object:
        try:
            return await setup.rules.replace(rule(content=f"x > {number}"))
        except Stale as error:
            return error

    answers = await asyncio.gather(*(change(number) for number in range(8)))
    accepted = [answer for answer in answers if not isinstance(answer, Stale)]
    assert accepted
    now = await setup.rules.read(RuleRef(name="HighCPUUsage"), None)
    assert now.content in [answer.content for answer in accepted]  # type: ignore[attr-defined]  # answers


async def test_what_is_read_can_be_sent_back_and_changes_nothing(setup: RuleSetup) -> None:
    """GET → PUT: the response is a valid request, and the object stays the same byte for byte."""
    for name, content in (("One", "up == 0"), ("Many", FILE)):
        await setup.rules.create(rule(name, content=content, config_map="c", key="k.yaml"))
        before = setup.file(name).read_bytes()
        again = await setup.rules.replace(await sent_back(setup, name))
        assert setup.file(name).read_bytes() == before
        assert again == await setup.rules.read(RuleRef(name=name), None)


async def test_an_unmanaged_rule_is_read_and_not_changed(setup: RuleSetup) -> None:
    """Contract §5: 'What the agent does not manage it reads, but neither changes nor deletes: 403 not_managed'."""
    setup.rewrite("theirs")
    before = setup.file("theirs").read_bytes()
    found = await setup.rules.read(RuleRef(name="theirs"), None)
    assert (found.managed, found.name) == (False, "theirs")
    with pytest.raises(NotManaged):
        await setup.rules.replace(await sent_back(setup, "theirs"))
    with pytest.raises(NotManaged):
        await setup.rules.delete({"name": "theirs", "type": "folder"})
    with pytest.raises(Exists):
        await setup.rules.create(rule("theirs"))
    assert setup.file("theirs").read_bytes() == before


async def test_another_owner_of_a_field_is_named(setup: RuleSetup) -> None:
    """Contract §5: 'Never forced: a foreign field owner is 409 field_conflict and named'."""
    await setup.rules.create(rule())
    setup.rewrite("HighCPUUsage", annotations={"frozen-by": "helm"})
    with pytest.raises(FieldConflict, match="helm"):
        await setup.rules.replace(rule(content="x"))


async def test_a_dry_run_checks_everything_and_writes_nothing(setup: RuleSetup) -> None:
    """Contract §5: 'POST, PUT, DELETE and sync take dry_run'."""
    made, written = await setup.rules.create(rule(dry_run=True))
    assert (made.object_name, written) == ("highcpuusage", False)
    assert setup.names() == set()
    await setup.rules.create(rule())
    before = setup.file("HighCPUUsage").read_bytes()
    assert "x > 1" in (await setup.rules.replace(rule(content="x > 1", dry_run=True))).content
    await setup.rules.delete({"name": "HighCPUUsage", "dry_run": True})
    assert setup.file("HighCPUUsage").read_bytes() == before
    with pytest.raises(Exists):
        await setup.rules.create(rule(dry_run=True))
    with pytest.raises(Invalid):
        await setup.rules.create(rule("B", content="sum(x", dry_run=True))


async def test_every_problem_of_a_request_is_listed(setup: RuleSetup) -> None:
    """Contract §1: 'errors lists *every* problem found'; §5: 'An unknown type is 422 and lists the installed ones'."""

    async def problems(body: Any) -> dict[str, str]:
        with pytest.raises(Invalid) as caught:
            await setup.rules.create(body)
        assert setup.names() == set()
        return {problem.path: problem.message for problem in caught.value.problems}

    found = await problems(
        {
            "name": "a\nb",
            "type": "nagios",
            "content": "groups:\n- name: a\n  rules: [{exprr: 1}]\n- 5\n",
            "namespace": "Not_Legal",
            "labels": {"severity": 1},
            "colour": "red",
        }
    )
    assert set(found) == {"$.name", "$.type", "$.namespace", "$.labels.severity", "$.colour", "$.groups[1]"}
    assert "Folder, second, unsteady" in found["$.type"]
    assert set(await problems(rule(content="groups:\n- name: a\n  rules: [{exprr: 1}]\n"))) == {
        "$.groups[0].rules[0].expr",
        "$.groups[0].rules[0].exprr",
    }
    assert set(await problems({})) == {"$.name", "$.type", "$.content"}
    assert set(await problems([])) == {"$"}
    assert set(await problems(rule(name=""))) == set(await problems(rule(name="x" * 254))) == {"$.name"}
    assert set(await problems(rule(namespace="x" * 64))) == {"$.namespace"}
    assert set(await problems(rule(content="sum(x"))) == {"$.groups[0].rules[0].expr"}  # the backend's own problem
    assert set(await problems(rule(resource_version="1"))) == {"$.resource_version"}
    assert set(await problems(rule(dry_run="yes"))) == {"$.dry_run"}


async def test_without_a_type_a_rule_is_searched_for_in_every_backend(setup: RuleSetup) -> None:
    """Contract §5: 'GET … 409 where several backends hold it and no `type` is given'."""
    await setup.rules.create(rule())
    await setup.rules.create(rule(type="second"))
    ref = RuleRef(name="HighCPUUsage")
    for call in (setup.rules.read(ref, None), setup.rules.delete({"name": "HighCPUUsage"})):
        with pytest.raises(Conflict, match="Folder, second"):
            await call
    assert (await setup.rules.read(ref, "second")).type == "second"
    await setup.rules.delete({"name": "HighCPUUsage", "type": "second"})
    assert (await setup.rules.read(ref, None)).type == "Folder"
    with pytest.raises(NotFound):
        await setup.rules.read(RuleRef(name="None"), None)
    with pytest.raises(Invalid, match="Folder, second, unsteady"):
        await setup.rules.read(ref, "nagios")


async def test_an_unavailable_backend_does_not_affect_others(open_setup: OpenSetup, setup: RuleSetup) -> None:
    """Contract §5: 'a backend without its CRD or cluster is 503 backend_unavailable'."""
    await setup.rules.create(rule())
    await setup.rules.create(rule("InTheSecond", type="second"))
    setup.path.rename(setup.path.with_name("away"))
    assert (await setup.rules.read(RuleRef(name="InTheSecond"), None)).type == "second"
    for call in (
        setup.rules.create(rule("B")),
        setup.rules.replace(rule()),
        setup.rules.delete({"name": "HighCPUUsage", "type": "folder"}),
        setup.rules.read(RuleRef(name="HighCPUUsage"), None),
        setup.rules.list(ListFilter(type_name="folder"), limit=50, cursor=None),
        setup.rules.sync({"type": "folder", "rules": [rule()]}),
        setup.rules.sync({"type": "folder"}),
    ):
        with pytest.raises(BackendUnavailable):
            await call
    page = await setup.rules.list(ALL, limit=50, cursor=None)
    assert [(error.type, error.code) for error in page.errors] == [("Folder", "backend_unavailable")]
    assert [(each.type, each.name) for each in page.rules] == [("second", "InTheSecond")]
    assert page.next_cursor is None


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
async def test_a_list_has_every_rule_once_whatever_the_page_size(setup: RuleSetup, limit: int) -> None:
    """Contract §5: '{"rules":[…],"errors":[…],"next_cursor"}', over all backends one after the other."""
    for number in range(5):
        name_space = "default" if number % 2 else "monitoring"
        await setup.rules.create(rule(f"r{number}", namespace=name_space, config_map="even" if number % 2 == 0 else ""))
    setup.rewrite("theirs")
    await setup.rules.create(rule("s", type="second"))

    async def whole(where: ListFilter) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        cursor: str | None = None
        while True:
            page = await setup.rules.list(where, limit=limit, cursor=cursor)
            assert len(page.rules) <= limit
            assert page.errors == ()
            found += [(each.type, each.name) for each in page.rules]
            if page.next_cursor is None:
                return found
            cursor = page.next_cursor

    everything = ["r1", "r3", "r0", "r2", "r4", "theirs"]
    assert await whole(ALL) == [*(("Folder", name) for name in everything), ("second", "s")]
    assert await whole(ListFilter(type_name="dir")) == [("dir", name) for name in everything]
    assert await whole(ListFilter(type_name="dir", namespace="default")) == [("dir", "r1"), ("dir", "r3")]
    assert await whole(ListFilter(type_name="dir", config_map="even")) == [("dir", name) for name in ("r0", "r2", "r4")]
    assert await whole(ListFilter(config_map="even", key="x")) == []


@pytest.mark.parametrize("cursor", ["x", "é", "\x00", "bm9uZQ==", "WzEsMiwzXQ==", "WyJvdGhlciIsbnVsbCwwXQ==", "=" * 50])
async def test_an_invalid_cursor_is_rejected(setup: RuleSetup, cursor: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        await setup.rules.list(ALL, limit=5, cursor=cursor)


async def test_writes_are_counted_by_type_and_result(setup: RuleSetup) -> None:
    """Contract §6: metrics named `candy_…`; a dry run does not count."""
    await setup.rules.create(rule())
    with pytest.raises(Exists):
        await setup.rules.create(rule())
    await setup.rules.replace(rule(content="x"))
    await setup.rules.replace(rule(content="y", dry_run=True))
    await setup.rules.delete({"name": "HighCPUUsage", "type": "dir"})
    for result in ("created", "exists", "updated", "deleted"):
        assert setup.counted(type="folder", result=result) == 1, result
