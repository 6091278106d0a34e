"""Clusters and backends, opened as a plugin opens them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from candy_core import ByteLimits, Problem, Rule, RuleRef
from candy_core.testing.context import plugin_context
from candy_kit_kube import Cluster, ClusterSettings, CustomRuleBackend, Environment, RuleResource, open_cluster
from candy_testbed import KubeCluster, eventually
from candy_testbed.fixtures import required
from candy_testbed.scripted import serve as serve

PROMETHEUS_RULE = RuleResource(
    group="monitoring.coreos.com", version="v1", plural="prometheusrules", kind="PrometheusRule"
)
VM_RULE = RuleResource(group="operator.victoriametrics.com", version="v1beta1", plural="vmrules", kind="VMRule")


def kubeconfig_text(server: str, *, cluster: object = None, user: object = None) -> str:
    """A kubeconfig with one context. It is JSON, which is valid YAML."""
    return json.dumps(
        {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],  # type: ignore[dict-item]
            "users": [{"name": "u", "user": user or {}}],
        }
    )


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Callable[..., Path]:
    """Write a kubeconfig for a server's address; ``cluster`` and ``user`` are further entries, ``name`` the file's."""

    def write(server: str, name: str = "kubeconfig", **entries: object) -> Path:
        path = tmp_path / name
        path.write_text(kubeconfig_text(server, **entries))
        return path

    return write


class OpenCluster(Protocol):
    async def __call__(self, kubeconfig: Path | None = None, **options: Any) -> Cluster: ...


@pytest.fixture
async def open_kube(tmp_path: Path) -> AsyncIterator[OpenCluster]:
    """Open a cluster in an environment that holds only what the test sets; it is closed at the end of the test.

    ``environ``, ``home``, ``service_account`` are the environment's, ``limit`` is in bytes, the others are settings.
    """
    async with AsyncExitStack() as stack:

        async def start(kubeconfig: Path | None = None, **options: Any) -> Cluster:
            environment = Environment(
                environ=options.pop("environ", {}),
                home=options.pop("home", tmp_path / "home"),
                service_account=options.pop("service_account", tmp_path / "service_account"),
            )
            context = plugin_context("kubernetes", limits=ByteLimits(answer=options.pop("limit", 32 * 1024 * 1024)))
            settings = ClusterSettings(kubeconfig=kubeconfig, **options)
            return await stack.enter_async_context(open_cluster(context, settings, environment))

        yield start


@pytest.fixture
async def cluster(kube_cluster: Any, open_kube: OpenCluster) -> Cluster:
    """The real cluster, as its administrator."""
    return await open_kube(kube_cluster.kubeconfig)


async def no_problems(rule: Rule) -> Sequence[Problem]:
    return ()


@pytest.fixture
def backend(cluster: Cluster) -> CustomRuleBackend:
    """PrometheusRules in the real cluster. For this API server their groups are one field."""
    return CustomRuleBackend(cluster, PROMETHEUS_RULE, validate=no_problems)


@pytest.fixture
def vm_backend(cluster: Cluster) -> CustomRuleBackend:
    """VMRules in the real cluster. For this API server each of their groups is a separate field."""
    return CustomRuleBackend(cluster, VM_RULE, validate=no_problems)


@pytest.fixture
def backends(backend: CustomRuleBackend, vm_backend: CustomRuleBackend) -> Mapping[str, CustomRuleBackend]:
    """Both backends."""
    return {"prometheus": backend, "vm": vm_backend}


@pytest.fixture
def make_rule(kube_namespace: str) -> Callable[..., Rule]:
    """A rule in the test's namespace, with one group with one alert or with the given groups."""

    def make(name: str = "HighCPU", expr: str = "up == 0", *groups: Any, **annotations: str) -> Rule:
        one = {
            "name": "node",
            "rules": [{"alert": "Down", "expr": expr, "for": "5m", "labels": {"severity": "warning"}}],
        }
        return Rule(
            ref=RuleRef(name=name, namespace=kube_namespace),
            groups=groups or (one,),
            annotations={f"candy-agent.io/{key}": value for key, value in annotations.items()},
        )

    return make


class Objects:
    """Changes the objects of one resource in the test's namespace as another client."""

    def __init__(self, cluster: Any, resource: RuleResource, namespace: str) -> None:
        self.api = cluster.api
        self.resource = resource
        self.namespace = namespace

    def apply(self, name: str, groups: Any, manager: str = "other", *, force: bool = False, **metadata: Any) -> Any:
        """Server-side apply under another manager's name."""
        body = {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"name": name, "namespace": self.namespace, **metadata},
            "spec": {"groups": groups},
        }
        return self.api.apply(body, field_manager=manager, force=force)[0]

    def get(self, name: str) -> Any:
        """The stored object."""
        return self.api.get(self.resource.api_version, self.resource.kind, name, namespace=self.namespace)

    def names(self) -> list[str]:
        """The names of the stored objects."""
        found = self.api.items(self.resource.api_version, self.resource.kind, namespace=self.namespace)
        return [each["metadata"]["name"] for each in found]

    def delete(self, name: str) -> None:
        self.api.delete(self.resource.api_version, self.resource.kind, name, namespace=self.namespace)


@pytest.fixture
def objects(kube_cluster: Any, kube_namespace: str) -> Objects:
    return Objects(kube_cluster, PROMETHEUS_RULE, kube_namespace)


@pytest.fixture
def vm_objects(kube_cluster: Any, kube_namespace: str) -> Objects:
    return Objects(kube_cluster, VM_RULE, kube_namespace)


THIRD = RuleResource(group="rules.example.com", version="v1", plural="thirdrules", kind="ThirdRule")


class ThirdDefinition:
    """Creates or replaces the definition of ThirdRules; their groups have the given fields."""

    resource = THIRD

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster

    def __call__(self, *fields: str, **more: Any) -> None:
        text = {"type": "string"}
        # As in PrometheusRule: with such a definition this API server drops unknown fields instead of rejecting them.
        either = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
        group = {"type": "object", "properties": {**dict.fromkeys(fields, text), **more, "expr": either}}
        spec = {"type": "object", "properties": {"groups": {"type": "array", "items": group}}}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        document = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": THIRD.definition},
            "spec": {
                "group": THIRD.group,
                "names": {"kind": THIRD.kind, "plural": THIRD.plural, "singular": "thirdrule"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }
        self.cluster.define(json.dumps(document))


@pytest.fixture
async def third(kube_cluster: Any, kube_namespace: str) -> AsyncIterator[ThirdDefinition]:
    """A resource that is not served until the test calls the fixture, and is removed afterwards."""
    yield ThirdDefinition(kube_cluster)
    kube_cluster.api.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", THIRD.definition)

    async def gone() -> bool:
        groups = kube_cluster.api.request("GET", "/apis")["groups"]
        return THIRD.group not in [each["name"] for each in groups]

    await eventually(gone)


@pytest.fixture
def third_backend(cluster: Cluster) -> CustomRuleBackend:
    """Rules stored as ThirdRules."""
    return CustomRuleBackend(cluster, THIRD, validate=no_problems)


@pytest.fixture
def own_cluster() -> Any:
    """A cluster of the test's own, whose etcd it may manipulate."""
    with required(KubeCluster()) as started:
        yield started


class Compactable(Objects):
    """Objects of a cluster whose etcd can be compacted."""

    def __init__(self, cluster: Any) -> None:
        super().__init__(cluster, PROMETHEUS_RULE, cluster.create_namespace())
        self.cluster = cluster

    def compact(self) -> None:
        """Have etcd drop all versions but the newest, as the API server does every five minutes."""
        address = self.cluster.etcd.url
        body = json.dumps({"key": "AA==", "range_end": "AA==", "count_only": True}).encode()
        with urllib.request.urlopen(f"{address}/v3/kv/range", body, timeout=60) as answer:
            newest = json.load(answer)["header"]["revision"]
        body = json.dumps({"revision": newest, "physical": True}).encode()
        with urllib.request.urlopen(f"{address}/v3/kv/compaction", body, timeout=60) as answer:
            answer.read()


@pytest.fixture
def objects_of() -> Callable[[Any], Compactable]:
    """PrometheusRules in a namespace of a cluster."""
    return Compactable
