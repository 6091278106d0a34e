"""The heartbeat's figures. Contract §4: "Figures that could not be had are left out, never invented"."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from candy_core import ClusterInfo, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_kube import Environment
from candy_kubernetes.probe import KubernetesProbe, open_probe
from candy_kubernetes.settings import KubernetesSettings
from candy_testbed import KubeCluster, eventually
from candy_testbed.kube.node_metrics import NodeMetrics

OpenProbe: TypeAlias = Callable[..., AbstractAsyncContextManager[KubernetesProbe]]


@pytest.fixture
def open_figures(environment: Environment) -> OpenProbe:
    """Opens the probe with the given settings."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[KubernetesProbe]:
        read = params_reader.read(settings, KubernetesSettings)
        async with open_probe(plugin_context("kubernetes"), read, environment) as probe:
            yield probe

    return opened


@pytest.fixture
async def probe(kube_cluster: KubeCluster, open_figures: OpenProbe) -> AsyncIterator[KubernetesProbe]:
    """The probe, as the administrator of the real cluster, without a Prometheus."""
    async with open_figures(kubeconfig=str(kube_cluster.kubeconfig)) as opened:
        yield opened


@pytest.fixture
def metrics(kube_cluster: KubeCluster) -> Iterator[Callable[..., None]]:
    """Makes the API server serve ``metrics.k8s.io``; called with a node and its ``cpu`` and ``memory``."""
    with NodeMetrics(kube_cluster) as served:
        yield served.set_usage


@pytest.fixture
def two_nodes(make_node: Any) -> tuple[str, str]:
    """With 4 cores and 8 GiB, and with 12 cores and 24 GiB."""
    large = {"cpu": "12", "memory": "24Gi"}
    return make_node(), make_node(status={"capacity": large, "allocatable": {"cpu": "1", "memory": "1Gi"}})


async def test_nodes_and_version_come_from_the_api_server(probe: KubernetesProbe, two_nodes: tuple[str, str]) -> None:
    """Contract §4: "`kubernetes_version` is without `v`"; what only others know is left out."""
    assert await probe.read() == ClusterInfo(nodes=2, kubernetes_version="1.20.2")


async def test_cpu_and_memory_are_shares_of_the_nodes_capacity(
    probe: KubernetesProbe, two_nodes: tuple[str, str], metrics: Callable[..., None]
) -> None:
    """All nodes' usage from the metrics server, divided by all nodes' ``capacity``."""
    first, second = two_nodes
    metrics(first, cpu="250m", memory="4Gi")
    metrics(second, cpu="3750000000n", memory="4194304Ki")
    info = await probe.read()
    assert (info.cpu_usage, info.memory_usage, info.disk_usage) == (25.0, 25.0, None)


async def test_new_and_incomplete_nodes_do_not_distort_the_shares(
    probe: KubernetesProbe, two_nodes: tuple[str, str], metrics: Callable[..., None], make_node: Any
) -> None:
    first, second = two_nodes
    metrics(first, cpu="2", memory="2Gi")
    assert (await probe.read()).cpu_usage == 50.0
    third = make_node()
    metrics(third, cpu="0", memory="6Gi")
    metrics("gone", cpu="100", memory="100Gi")
    metrics(second, cpu="much", memory="-")
    info = await probe.read()
    assert (info.nodes, info.cpu_usage, info.memory_usage) == (3, 25.0, 50.0)


async def test_figures_that_the_cluster_lacks_come_from_prometheus(
    kube_cluster: KubeCluster, open_figures: OpenProbe, prometheus: str
) -> None:
    """Contract §4, with this machine's node exporter."""
    async with open_figures(kubeconfig=str(kube_cluster.kubeconfig), prometheus_url=prometheus) as probe:

        async def with_usage() -> ClusterInfo | None:  # a rate takes two scrapes
            info = await probe.read()
            return None if info.cpu_usage is None else info

        info = await eventually(with_usage)
    assert info.kubernetes_version == "1.20.2"
    assert info.cpu_usage is not None
    assert info.memory_usage is not None
    assert 0 <= info.cpu_usage <= 100
    assert 0 < info.memory_usage < 100
    disks = {fields[0]: fields[1] for fields in mounts() if fields[2] in ("ext4", "xfs", "btrfs")}
    if len(disks) == 1:
        [mount] = disks.values()
        used = shutil.disk_usage(mount)
        assert info.disk_usage == pytest.approx(100 * used.used / (used.used + used.free), abs=2)


def mounts() -> list[list[str]]:
    """Device, mount point and type of each file system of this machine."""
    return [line.split() for line in Path("/proc/mounts").read_text().splitlines()]


async def test_the_clusters_own_figures_take_precedence_and_queries_are_settings(
    kube_cluster: KubeCluster,
    open_figures: OpenProbe,
    prometheus: str,
    two_nodes: tuple[str, str],
    metrics: Callable[..., None],
) -> None:
    metrics(two_nodes[0], cpu="1")
    queries = {"cpu_query": "vector(11)", "memory_query": "vector(22.345)", "disk_query": "vector(33)"}
    async with open_figures(kubeconfig=str(kube_cluster.kubeconfig), prometheus_url=prometheus, **queries) as probe:
        info = await probe.read()
    assert (info.cpu_usage, info.memory_usage, info.disk_usage) == (25.0, 22.34, 33.0)


@pytest.mark.parametrize("query", ["vector(101)", "vector(-1)", "vector(0)/0", "gone", "up{", '"text"'])
async def test_a_value_that_is_not_a_percentage_is_left_out(
    open_figures: OpenProbe, prometheus: str, query: str
) -> None:
    async with open_figures(prometheus_url=prometheus, disk_query=query) as probe:
        assert (await probe.read()).disk_usage is None


async def test_without_a_cluster_the_figures_of_prometheus_remain(
    open_figures: OpenProbe, prometheus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a missing cluster is logged once, not at every reading."""
    async with open_figures(prometheus_url=prometheus, disk_query="vector(7)") as probe:
        assert (await probe.read()).disk_usage == 7.0
        info = await probe.read()
    assert (info.nodes, info.kubernetes_version) == (None, None)
    assert capsys.readouterr().out.count("cluster_") == 1


async def test_a_forbidden_figure_is_left_out_and_logged_once(
    kube_cluster: KubeCluster,
    kube_namespace: str,
    open_figures: OpenProbe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    token = kube_cluster.service_account_token(kube_namespace, "unprivileged")
    kubeconfig = kube_cluster.write_kubeconfig(tmp_path / "unprivileged", token=token)
    async with open_figures(kubeconfig=str(kubeconfig)) as probe:
        first, second = await probe.read(), await probe.read()
    assert first == second == ClusterInfo(kubernetes_version="1.20.2")
    log = capsys.readouterr().out
    assert log.count("figure=nodes") == 1
    assert 'cannot list resource "nodes"' in log


async def test_a_cluster_that_hangs_costs_no_other_figure(
    kube_cluster: KubeCluster, open_figures: OpenProbe, prometheus: str
) -> None:
    settings = {"prometheus_url": prometheus, "disk_query": "vector(7)", "cpu_query": "vector(8)", "timeout": 0.5}
    async with open_figures(kubeconfig=str(kube_cluster.kubeconfig), **settings) as probe:
        kube_cluster.api_server.pause()
        info = await probe.read()
    assert (info.nodes, info.cpu_usage, info.disk_usage) == (None, 8.0, 7.0)
