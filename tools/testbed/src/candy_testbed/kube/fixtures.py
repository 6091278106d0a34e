"""Pytest fixtures: one cluster for each xdist worker, so that a test may break it for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from candy_testbed.kube.cluster import KubeCluster
from candy_testbed.kube.kubectl import Kubectl
from candy_testbed.kube.servers import KubeControllerManager
from candy_testbed.requirement import required, skip_or_fail
from candy_testbed.server import MissingServer


@pytest.fixture(scope="session")
def kube_cluster_of_session() -> Iterator[KubeCluster]:
    """What :func:`kube_cluster` is about."""
    with required(KubeCluster()) as cluster:
        yield cluster


@pytest.fixture
def kube_cluster(kube_cluster_of_session: KubeCluster) -> KubeCluster:
    """A Kubernetes API server that serves PrometheusRule and VMRule.

    It is this worker's alone and lasts for the session: a test may stop the API server or freeze it (the next test
    gets it running again), and keeps its objects in a ``kube_namespace`` of its own.
    """
    kube_cluster_of_session.ensure_running()
    return kube_cluster_of_session


@pytest.fixture
def kube_namespace(kube_cluster: KubeCluster) -> Iterator[str]:
    """The name of a namespace that is this test's alone, and ends with it."""
    name = kube_cluster.create_namespace()
    yield name
    kube_cluster.ensure_running()
    kube_cluster.delete_namespace(name)


@pytest.fixture
def kube_controller_manager(kube_cluster: KubeCluster) -> Iterator[KubeControllerManager]:
    """A controller manager for :func:`kube_cluster`, for one test: Deployments make pods."""
    with required(kube_cluster.controller_manager()) as manager:
        yield manager


@pytest.fixture
def kubectl(kube_cluster: KubeCluster, tmp_path: Path) -> Kubectl:
    """The administrator of :func:`kube_cluster`, with the real kubectl."""
    home = tmp_path / "kubectl"
    home.mkdir()
    try:
        return Kubectl(kube_cluster.kubeconfig, home)
    except MissingServer as missing:
        skip_or_fail(missing)


@pytest.fixture(scope="session")
def bare_kube_cluster() -> Iterator[KubeCluster]:
    """A cluster with no CustomResourceDefinitions, for the session; not to be broken."""
    with required(KubeCluster(definitions=False)) as cluster:
        yield cluster
