"""The contract suite of rule backends, for both ways in which an API server may treat a list of groups."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from candy_core import PluginContext, Problem, Rule, RuleBackendSpec, RuleRef
from candy_core.testing.rule_backend import BadRule, RuleBackendSuite, Subject
from candy_core.testing.rule_backend.subject import Groups
from candy_kit_kube import ClusterSettings, CustomRuleBackend, RuleResource, object_name, open_cluster

SECRET = "a-token-that-is-not-accepted"


async def validate(rule: Rule) -> Sequence[Problem]:
    """A minimal validation."""
    return [Problem(f"$.groups[{n}].name", "is required") for n, each in enumerate(rule.groups) if not each.get("name")]


def subject_of(kube_cluster: Any, namespaces: tuple[str, str], resource: RuleResource, folder: Path) -> Subject:
    """A backend over this resource, and ways to change its objects as another client."""
    api = kube_cluster.api

    @asynccontextmanager
    async def start(context: PluginContext, settings: ClusterSettings) -> AsyncIterator[CustomRuleBackend]:
        async with open_cluster(context, settings) as cluster:
            yield CustomRuleBackend(cluster, resource, validate=validate)

    def apply(name: str, namespace: str, groups: Any, manager: str) -> None:
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"groups": [dict(group) for group in groups]},
        }
        api.apply(body, field_manager=manager, force=True)

    async def foreign(ref: RuleRef, groups: Groups) -> None:
        await asyncio.to_thread(apply, ref.name, ref.namespace, groups, "helm")

    async def change(ref: RuleRef, groups: Groups) -> None:
        # As the agent's own field manager: only the changed version reveals it.
        await asyncio.to_thread(
            api.request,
            "PATCH",
            resource.path(ref.namespace, object_name(ref.name)),
            {"spec": {"groups": [dict(group) for group in groups]}},
            query={"fieldManager": "candy-agent"},
            content_type="application/merge-patch+json",
        )

    async def own(ref: RuleRef) -> None:
        name = object_name(ref.name)
        await asyncio.to_thread(apply, name, ref.namespace, [{"name": "suite", "rules": []}], "argocd")

    away = folder / "away"
    entry = {"server": "http://127.0.0.1:9"}
    away.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": entry}],
                "users": [{"name": "u", "user": {"token": SECRET}}],
            }
        )
    )
    return Subject(
        plugin="suite",
        spec=RuleBackendSpec(name="suite", settings=ClusterSettings, open=start),
        settings={"kubeconfig": str(kube_cluster.kubeconfig)},
        unreachable={"kubeconfig": str(away)},
        secrets=[kube_cluster.token, SECRET],
        namespaces=namespaces,
        foreign=foreign,
        change=change,
        own=own,
        owner="argocd",
        bad=[BadRule(groups=({"rules": []},), path="$.groups[0].name")],
    )


@pytest.fixture
def two_namespaces(kube_cluster: Any, kube_namespace: str) -> Iterator[tuple[str, str]]:
    """The test's namespace, and another."""
    other = kube_cluster.create_namespace()
    yield kube_namespace, other
    kube_cluster.delete_namespace(other)


class TestPrometheusRules(RuleBackendSuite):
    @pytest.fixture
    def subject(self, kube_cluster: Any, two_namespaces: tuple[str, str], tmp_path: Path) -> Subject:
        resource = RuleResource(
            group="monitoring.coreos.com", version="v1", plural="prometheusrules", kind="PrometheusRule"
        )
        return subject_of(kube_cluster, two_namespaces, resource, tmp_path)


class TestVMRules(RuleBackendSuite):
    @pytest.fixture
    def subject(self, kube_cluster: Any, two_namespaces: tuple[str, str], tmp_path: Path) -> Subject:
        resource = RuleResource(
            group="operator.victoriametrics.com", version="v1beta1", plural="vmrules", kind="VMRule"
        )
        return subject_of(kube_cluster, two_namespaces, resource, tmp_path)
