"""Responses that are not the API server's: they must not be taken for rules, nor for an empty list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from candy_core import Absent, Anything, BackendUnavailable, Problem, Rule, RuleRef, Version
from candy_kit_kube import CustomRuleBackend, RuleResource
from candy_testbed.scripted import Peer, Serve

REF = RuleRef(name="HighCPU", namespace="monitoring")
RULE = Rule(ref=REF, groups=({"name": "g", "rules": [{"alert": "A", "expr": "up"}]},))
RESOURCE = RuleResource(group="monitoring.coreos.com", version="v1", plural="prometheusrules", kind="PrometheusRule")
CALLS: dict[str, Callable[[CustomRuleBackend], Awaitable[Any]]] = {
    "list": lambda backend: backend.list("monitoring", limit=5, cursor=None),
    "get": lambda backend: backend.get(REF),
    "create": lambda backend: backend.apply(RULE, Absent(), dry_run=False),
    "create dry": lambda backend: backend.apply(RULE, Absent(), dry_run=True),
    "change": lambda backend: backend.apply(RULE, Version("7"), dry_run=False),
    "delete": lambda backend: backend.delete(REF, Anything(), dry_run=False),
}
STATUS = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}


async def no_problems(rule: Rule) -> tuple[Problem, ...]:
    return ()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", b""),
        ("200 OK", b"null"),
        ("200 OK", b"[]"),
        ("200 OK", b"{}"),
        ("200 OK", {"kind": "Status", "status": "Success"}),
        ("200 OK", {"kind": "PrometheusRuleList", "items": {}}),
        ("200 OK", {"kind": "PrometheusRule", "metadata": {"name": "another", "namespace": "monitoring"}}),
        ("410 Gone", STATUS),
    ],
    ids=str,
)
async def test_an_unexpected_response_is_backend_unavailable(
    serve: Serve, kubeconfig: Callable[..., Path], open_kube: Any, call: Any, status: str, body: Any
) -> None:
    """Contract §1: 503 ``backend_unavailable``; and nothing is deleted that was not read."""

    async def behave(peer: Peer) -> None:
        await peer.answer(body, status)

    server = await serve(behave)
    backend = CustomRuleBackend(await open_kube(kubeconfig(server.url)), RESOURCE, validate=no_problems)
    with pytest.raises(BackendUnavailable):
        await call(backend)
    assert not [request.line for request in server.requests if request.line.startswith("DELETE")]


async def test_an_empty_list_may_be_null(serve: Serve, kubeconfig: Callable[..., Path], open_kube: Any) -> None:
    """Go encodes a nil slice as null."""

    async def behave(peer: Peer) -> None:
        await peer.answer({"kind": "PrometheusRuleList", "metadata": {}, "items": None})

    server = await serve(behave)
    backend = CustomRuleBackend(await open_kube(kubeconfig(server.url)), RESOURCE, validate=no_problems)
    assert (await backend.list(None, limit=5, cursor=None)).rules == ()


async def test_an_object_is_not_deleted_after_an_unexpected_response_to_its_creation(
    serve: Serve, kubeconfig: Callable[..., Path], open_kube: Any
) -> None:
    """The response to the write cannot be trusted: the object may have been created, and stays."""

    async def behave(peer: Peer) -> None:
        made = {
            "metadata": {"name": "highcpu", "namespace": "monitoring", "resourceVersion": "5"},
            "spec": {"groups": RULE.groups},
        }
        await peer.answer(made if "dryRun=All" in peer.request.line else {"metadata": {"namespace": "monitoring"}})

    server = await serve(behave)
    backend = CustomRuleBackend(await open_kube(kubeconfig(server.url)), RESOURCE, validate=no_problems)
    with pytest.raises(BackendUnavailable):
        await backend.apply(RULE, Absent(), dry_run=False)
    assert [request.line.split()[0] for request in server.requests] == ["PATCH", "PATCH"]
