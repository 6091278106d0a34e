"""The plugin, opened for a real cluster and called as the core does, and objects for it to check."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from candy_kit_kube import Environment
from candy_testbed import KubeCluster
from candy_testbed.kube.gateway import HostileGateway
from candy_testbed.kubernetes_plugin import Agent, Objects, Open, opener


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An environment in which a cluster is found only in the home folder ``tmp_path / "home"``."""
    return Environment(environ={}, home=tmp_path / "home", service_account=tmp_path / "service_account")


@pytest.fixture
def open_agent(environment: Environment) -> Open:
    """Opens the executor in an environment in which only the cluster of the settings is found."""
    return opener(environment)


@pytest.fixture
async def agent(kube_cluster: KubeCluster, open_agent: Open) -> AsyncIterator[Agent]:
    """The executor, as the administrator of the real cluster."""
    async with open_agent(kubeconfig=str(kube_cluster.kubeconfig)) as opened:
        yield opened


@pytest.fixture
def objects(kube_cluster: KubeCluster, kube_namespace: str) -> Objects:
    """Creates objects in the test's namespace."""
    return Objects(kube_cluster, kube_namespace)


@pytest.fixture
def make_node(kube_cluster: KubeCluster) -> Iterator[Any]:
    """Creates nodes with a status and a ``spec`` and the label ``test=here``, and deletes them after the test."""
    made: list[str] = []

    def make(name: str | None = None, *, status: Mapping[str, Any] | None = None, **spec: Any) -> str:
        node = kube_cluster.create_node(name)
        made.append(node)
        body = {"metadata": {"labels": {"test": "here"}}, "spec": spec}
        path = kube_cluster.api.path("v1", "Node", node)
        kube_cluster.api.request("PATCH", path, body, content_type="application/merge-patch+json")
        if status is not None:
            kube_cluster.api.patch_status("v1", "Node", node, status)
        return node

    yield make
    kube_cluster.ensure_running()
    for name in made:
        kube_cluster.api.delete("v1", "Node", name)


@pytest.fixture
def gateway(kube_cluster: KubeCluster) -> Iterator[HostileGateway]:
    """In front of the cluster's API server; in some namespaces it misbehaves."""
    with HostileGateway(kube_cluster.url, kube_cluster.ca_file) as started:
        yield started


@pytest.fixture
def gateway_kubeconfig(kube_cluster: KubeCluster, gateway: HostileGateway, tmp_path: Path) -> Path:
    """The administrator's kubeconfig, with the gateway as the server."""
    document = json.loads(kube_cluster.kubeconfig.read_text())
    document["clusters"][0]["cluster"] = {"server": gateway.url}
    path = tmp_path / "gateway-kubeconfig"
    path.write_text(json.dumps(document))
    return path
