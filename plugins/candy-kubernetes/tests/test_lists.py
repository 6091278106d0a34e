"""Lists: read page by page, shared by items, in little memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_core import params_reader
from candy_kubernetes.checks import CHECKS, Resource, Scan
from candy_kubernetes.listing import PAGE_SIZE
from candy_kubernetes.params import CheckName, KubernetesParams, list_key
from candy_kubernetes.plugin import candy_executors
from candy_testbed import KubeCluster
from candy_testbed.kubernetes_plugin import Agent, Objects, Open

KEYS = [
    *("metadata", "name", "namespace", "creationTimestamp", "deletionTimestamp", "generation", "labels"),
    *("spec", "replicas", "selector", "type", "updateStrategy", "rollingUpdate", "partition", "unschedulable"),
    *("status", "phase", "conditions", "reason", "message", "lastTransitionTime", "observedGeneration"),
    *("containerStatuses", "state", "waiting", "terminated", "exitCode", "restartCount", "endpoints", "ready"),
    *("involvedObject", "series", "count", "lastTimestamp", "data", "tls.crt", "desiredNumberScheduled"),
]

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.text(max_size=5) | st.just("2026-01-01T00:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=20,
)


def scans() -> list[tuple[Resource, Scan]]:
    return [
        (resource, check.scan(KubernetesParams(check=name), 1e9))
        for name, check in CHECKS.items()
        for resource in check.resources
    ]


@given(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=8))
def test_no_malformed_object_breaks_a_check(obj: dict[str, Any]) -> None:
    """Objects of an unknown version, or with wrong types, do not make an item fail."""
    for resource, scan in scans():
        scan.inspect(resource, obj)
        found = scan.findings()
        json.dumps(found.stats)
        assert len(found.worst()) == found.count <= 1


def test_only_items_for_the_same_objects_share_a_call() -> None:
    def key(**params: Any) -> object:
        return list_key(params_reader.read({"check": "pods", **params}, KubernetesParams))

    assert key(threshold="1") == key(critical="2", grace="1m", namespace="")
    assert len({key(), key(namespace="a"), key(namespace="b"), key(label_selector="a"), key(check="nodes")}) == 5
    [spec] = candy_executors()
    assert spec.batch_key is list_key is spec.dedup_key


@pytest.fixture
async def counted(open_agent: Open, kube_cluster: KubeCluster) -> AsyncIterator[tuple[Agent, Any]]:
    """The executor, and a function for the number of lists of pods in the API server's own metrics."""

    def lists() -> float:
        text: str = kube_cluster.api.request("GET", "/metrics")
        wanted = [
            line
            for line in text.splitlines()
            if line.startswith("apiserver_request_total{") and 'resource="pods"' in line and 'verb="LIST"' in line
        ]
        return sum(float(line.rpartition(" ")[2]) for line in wanted)

    async with open_agent(kubeconfig=str(kube_cluster.kubeconfig)) as agent:
        yield agent, lists


async def test_items_for_the_same_objects_share_one_list(counted: tuple[Agent, Any], objects: Objects) -> None:
    agent, lists = counted
    objects.pod("web")
    before = lists()
    outcomes = await agent.run_together(
        *(
            {"check": "pods", "namespace": objects.namespace, "grace": str(grace), "threshold": str(limit)}
            for grace in (0, 600)
            for limit in range(5)
        )
    )
    assert lists() - before == 1
    assert [outcome.value for outcome in outcomes] == ["1"] * 5 + ["0"] * 5


async def test_more_than_a_page_is_read_page_by_page(
    counted: tuple[Agent, Any], objects: Objects, kube_cluster: KubeCluster
) -> None:
    """Each object counts once, on any page."""
    agent, lists = counted
    path = kube_cluster.api.path("v1", "Pod", namespace=objects.namespace)
    for number in range(PAGE_SIZE + 20):
        body = {"metadata": {"name": f"w{number}"}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
        kube_cluster.api.request("POST", path, body)
    before = lists()
    outcome = await agent.run("pods", namespace=objects.namespace, grace="0")
    assert lists() - before == 2
    assert (outcome.value, outcome.stats["total"]) == (str(PAGE_SIZE + 20), PAGE_SIZE + 20)
    assert outcome.details.splitlines()[-1] == f"and {PAGE_SIZE - 80} more"


async def test_pages_that_are_too_large_are_made_smaller(
    open_agent: Open, kube_cluster: KubeCluster, objects: Objects
) -> None:
    """Contract §7: `CANDY_MAX_ANSWER` bounds an answer; a larger cluster is checked nevertheless."""
    for number in range(6):
        objects.pod(f"w{number}", annotations={"note": "x" * 20_000})
    async with open_agent(kubeconfig=str(kube_cluster.kubeconfig), limit=70_000) as agent:
        outcome = await agent.run("pods", namespace=objects.namespace, grace="0")
        assert outcome.value == "6"
    async with open_agent(kubeconfig=str(kube_cluster.kubeconfig), limit=10_000) as agent:
        outcome = await agent.run("pods", namespace=objects.namespace, grace="0")
        assert (outcome.status, outcome.reason) == ("failed", "too_large")


def test_all_checks_exist() -> None:
    """Contract §3: "`check` (`nodes`, `pods`, `workloads`, `services`, `volumes`, `events`, `certificates`)"."""
    assert list(CHECKS) == list(CheckName)
