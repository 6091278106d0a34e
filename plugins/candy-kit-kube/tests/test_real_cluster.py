"""A real API server: permissions, outages, lists and watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from candy_core import Absent, Anything, BackendUnavailable, Forbidden, Invalid, Problem, Rule, RuleRef, StoredRule
from candy_kit_kube import Cluster, CustomRuleBackend, Event, Gone
from candy_testbed import eventually

MakeRule = Callable[..., Rule]


async def no_problems(rule: Rule) -> tuple[Problem, ...]:
    return ()


async def test_a_missing_permission_is_named(
    kube_cluster: Any, kube_namespace: str, open_kube: Any, objects: Any, make_rule: MakeRule, tmp_path: Path
) -> None:
    """Contract §1: 403 `forbidden`; the API server's message names verb, resource and namespace."""
    token = kube_cluster.service_account_token(kube_namespace, "agent")
    path = kube_cluster.write_kubeconfig(tmp_path / "limited", token=token)
    backend = CustomRuleBackend(await open_kube(path), objects.resource, validate=no_problems)
    for verb, call in (
        ("patch", backend.apply(make_rule(), Absent(), dry_run=False)),
        ("get", backend.get(make_rule().ref)),
        ("list", backend.list(kube_namespace, limit=1, cursor=None)),
    ):
        with pytest.raises(Forbidden) as caught:
            await call
        for words in (f"cannot {verb} resource", '"prometheusrules"', f'the namespace "{kube_namespace}"'):
            assert words in str(caught.value)
    assert (await backend.check()).ok, "discovery needs no permission"


async def test_a_missing_definition_is_named_and_works_once_it_is_installed(
    kube_cluster: Any, cluster: Cluster, kube_namespace: str, third: Any, third_backend: CustomRuleBackend
) -> None:
    """Contract §5: a backend without its CRD is 503 `backend_unavailable`; no restart is needed afterwards."""
    rule = Rule(ref=RuleRef(name="a", namespace=kube_namespace), groups=({"name": "g"},))
    for call in (
        third_backend.apply(rule, Absent(), dry_run=False),
        third_backend.apply(rule, Anything(), dry_run=True),
        third_backend.delete(rule.ref, Anything(), dry_run=False),
        third_backend.get(rule.ref),
        third_backend.list(kube_namespace, limit=1, cursor=None),
        third_backend.list(None, limit=1, cursor=None),
    ):
        with pytest.raises(BackendUnavailable, match=r"CustomResourceDefinition thirdrules\.rules\.example\.com"):
            await call
    health = await third_backend.check()
    assert (health.ok, "thirdrules.rules.example.com" in health.detail) == (False, True)
    third("name")
    assert (await third_backend.check()).ok
    made = await third_backend.apply(rule, Absent(), dry_run=False)
    assert await third_backend.get(rule.ref) == made


async def test_a_killed_api_server_is_unavailable_until_it_is_back(
    kube_cluster: Any, cluster: Cluster, backend: CustomRuleBackend, make_rule: MakeRule
) -> None:
    """Contract §5: 503 `backend_unavailable`; the agent itself keeps running."""
    made = await backend.apply(make_rule(), Absent(), dry_run=False)
    kube_cluster.kill_api_server()
    for call in (backend.get(made.rule.ref), backend.apply(make_rule("b"), Absent(), dry_run=False)):
        with pytest.raises(BackendUnavailable):
            await call
    assert not (await cluster.check()).ok
    kube_cluster.start_api_server()
    await kube_cluster.until_ready()
    assert await backend.get(made.rule.ref) == made
    changed = await backend.apply(make_rule(expr="up == 1"), Anything(), dry_run=False)
    assert changed.rule == make_rule(expr="up == 1")


async def test_a_call_to_a_hanging_api_server_times_out(
    kube_cluster: Any, open_kube: Any, objects: Any, make_rule: MakeRule
) -> None:
    """It accepts connections and never responds: a machine that swaps, a network that drops packets."""
    cluster = await open_kube(kube_cluster.kubeconfig, timeout=5)
    backend = CustomRuleBackend(cluster, objects.resource, validate=no_problems)
    await backend.apply(make_rule(), Absent(), dry_run=False)
    messages: list[str] = []

    async def hangs() -> bool:  # a process with many threads does not stop immediately
        try:
            await backend.get(make_rule().ref)
        except BackendUnavailable as error:
            messages.append(str(error))
        return bool(messages)

    kube_cluster.api_server.pause()
    try:
        await eventually(hangs)
    finally:
        kube_cluster.api_server.resume()
    assert messages == ["no response from the Kubernetes API within 5 s"]
    assert (await backend.get(make_rule().ref)).rule == make_rule()


async def test_a_list_is_paged_and_every_rule_is_in_it_once(
    backend: CustomRuleBackend, make_rule: MakeRule, objects: Any, kube_namespace: str
) -> None:
    """Contract §5: `limit` and `cursor`; what the agent does not manage is read as well."""
    names = [f"Rule {n:02}" for n in range(11)]
    await asyncio.gather(*(backend.apply(make_rule(name), Absent(), dry_run=False) for name in names))
    objects.apply("unmanaged.rules", [{"name": "g", "rules": []}])
    found: list[StoredRule] = []
    cursor, pages = None, 0
    while True:
        page = await backend.list(kube_namespace, limit=5, cursor=cursor)
        assert len(page.rules) <= 5
        found += page.rules
        cursor, pages = page.next_cursor, pages + 1
        if cursor is None:
            break
    assert [each.rule.ref.name for each in found] == [*names, "unmanaged.rules"]
    assert [each.managed for each in found] == [True] * 11 + [False]
    assert pages == 3
    everywhere = await backend.list(None, limit=500, cursor=None)
    assert {each.object_name for each in found} <= {each.object_name for each in everywhere.rules}


async def test_an_unknown_cursor_is_invalid(backend: CustomRuleBackend, kube_namespace: str) -> None:
    """The port: raises `Invalid` for a cursor that the backend did not return."""
    with pytest.raises(Invalid, match="cursor"):
        await backend.list(kube_namespace, limit=1, cursor="made-up")


async def test_a_list_continues_after_its_token_has_expired(own_cluster: Any, open_kube: Any, objects_of: Any) -> None:
    """Kubernetes API concepts: 410 for a continue token whose version etcd has compacted away, and another token."""
    objects = objects_of(own_cluster)
    for n in range(6):
        objects.apply(f"r{n}", [{"name": "g", "rules": []}])
    cluster = await open_kube(own_cluster.kubeconfig)
    backend = CustomRuleBackend(cluster, objects.resource, validate=no_problems)
    first = await backend.list(objects.namespace, limit=2, cursor=None)
    objects.apply("r9", [{"name": "g", "rules": []}])
    objects.compact()
    second = await backend.list(objects.namespace, limit=500, cursor=first.next_cursor)
    found = [each.object_name for each in (*first.rules, *second.rules)]
    assert found == ["r0", "r1", "r2", "r3", "r4", "r5", "r9"]
    own_cluster.restart()  # clears the API server's watch cache
    events = cluster.watch(objects.resource.path(objects.namespace), resource_version=first.rules[0].version)
    async with aclosing(events):
        with pytest.raises(Gone):
            await anext(events)


async def current_version(cluster: Cluster, path: str) -> str:
    """The version to watch from."""
    listed: Any = await cluster.request("GET", path, query={"limit": "1"})
    return str(listed["metadata"]["resourceVersion"])


async def test_a_watch_yields_the_changes(
    cluster: Cluster, backend: CustomRuleBackend, make_rule: MakeRule, objects: Any
) -> None:
    """Kubernetes API concepts, "Efficient detection of changes"."""
    path = objects.resource.path(objects.namespace)
    version = await current_version(cluster, path)
    await backend.apply(make_rule(), Absent(), dry_run=False)
    await backend.apply(make_rule(expr="up == 1"), Anything(), dry_run=False)
    await backend.delete(make_rule().ref, Anything(), dry_run=False)
    seen: list[Event] = []
    async with aclosing(cluster.watch(path, resource_version=version)) as events:
        async for event in events:
            seen.append(event)
            if event.kind == "DELETED":
                break
    assert [each.kind for each in seen] == ["ADDED", "MODIFIED", "DELETED"]


async def test_a_lost_watch_raises(kube_cluster: Any, cluster: Cluster, objects: Any) -> None:
    """A watch whose server disappears does not just end."""
    path = objects.resource.path(objects.namespace)
    version = await current_version(cluster, path)
    events = cluster.watch(path, resource_version=version)
    async with aclosing(events):
        objects.apply("r", [])
        assert (await anext(events)).kind == "ADDED"
        kube_cluster.kill_api_server()
        with pytest.raises(BackendUnavailable):
            await anext(events)


async def test_watches_need_no_slot(open_kube: Any, kube_cluster: Any, objects: Any) -> None:
    """The setting `max_concurrent` bounds requests; a watch lasts minutes."""
    cluster = await open_kube(kube_cluster.kubeconfig, max_concurrent=1)
    path = objects.resource.path(objects.namespace)
    version = await current_version(cluster, path)
    objects.apply("r", [])
    one, two = (cluster.watch(path, resource_version=version) for _ in range(2))
    async with aclosing(one), aclosing(two):
        assert [(await anext(one)).kind, (await anext(two)).kind] == ["ADDED", "ADDED"]
        assert (await cluster.check()).ok
