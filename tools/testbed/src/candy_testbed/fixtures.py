"""Pytest fixtures: real servers for a session, one set for each xdist worker, started when first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from candy_testbed.hostile import HostileHttp
from candy_testbed.kube.fixtures import bare_kube_cluster as bare_kube_cluster
from candy_testbed.kube.fixtures import kube_cluster as kube_cluster
from candy_testbed.kube.fixtures import kube_cluster_of_session as kube_cluster_of_session
from candy_testbed.kube.fixtures import kube_controller_manager as kube_controller_manager
from candy_testbed.kube.fixtures import kube_namespace as kube_namespace
from candy_testbed.kube.fixtures import kubectl as kubectl
from candy_testbed.prometheus import NodeExporter, Prometheus
from candy_testbed.requirement import REQUIRE as REQUIRE
from candy_testbed.requirement import required as required
from candy_testbed.requirement import skip_or_fail as skip_or_fail
from candy_testbed.running_agent import StartAgent, agent_running
from candy_testbed.server import MissingServer
from candy_testbed.sleepers import Sleepers, sleepers_gone
from candy_testbed.ssh_hosts import Hosts, accounts, hosts
from candy_testbed.sshd import Sshd, ssh_keygen
from candy_testbed.victoriametrics import VictoriaMetrics

# How long an example takes depends on the load of the machine, not on the code under test.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def node_exporter() -> Iterator[str]:
    """Base URL of a real node exporter."""
    with required(NodeExporter()) as server:
        yield server.url


@pytest.fixture(scope="session")
def prometheus_server(node_exporter: str) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes itself (job ``prometheus``) and the node exporter (job ``node``) every second.

    Both are ``up``, and the node's counters have two samples, so that ``irate(…[5m])`` has a value. Shared by the
    whole session: a test that freezes or kills its server starts one of its own.
    """
    with required(Prometheus(scrape={"node": [node_exporter.removeprefix("http://")]})) as server:
        server.wait_until_up(2)
        server.wait_until("irate(node_cpu_seconds_total[5m])")
        yield server


@pytest.fixture(scope="session")
def prometheus(prometheus_server: Prometheus) -> str:
    """Base URL of :func:`prometheus_server`."""
    return prometheus_server.url


@pytest.fixture(scope="session")
def victoriametrics_server(node_exporter: str) -> Iterator[VictoriaMetrics]:
    """A real VictoriaMetrics that scrapes itself (job ``victoriametrics``) and the node exporter (job ``node``).

    Every second, and waited for as :func:`prometheus_server` is.
    """
    with required(VictoriaMetrics(scrape={"node": [node_exporter.removeprefix("http://")]})) as server:
        server.wait_until_up(2)
        server.wait_until("irate(node_cpu_seconds_total[5m])")
        yield server


@pytest.fixture(scope="session")
def victoriametrics(victoriametrics_server: VictoriaMetrics) -> str:
    """Base URL of :func:`victoriametrics_server`."""
    return victoriametrics_server.url


@pytest.fixture(scope="session")
def hostile_http() -> Iterator[str]:
    """Base URL of a :class:`~candy_testbed.hostile.HostileHttp`."""
    with required(HostileHttp()) as server:
        yield server.url


@pytest.fixture(scope="session")
def ssh_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key pair that :func:`sshd` lets in: ``login`` and ``login.pub``."""
    folder = tmp_path_factory.mktemp("keys")
    try:
        ssh_keygen(folder / "login")
    except MissingServer as missing:
        skip_or_fail(missing)
    return folder


@pytest.fixture(scope="session")
def sshd(ssh_keys: Path) -> Iterator[Sshd]:
    """An sshd that accepts the user who runs the tests and, if that is root, another user with a password.

    Both are described in :mod:`candy_testbed.ssh_hosts`. Shared by the whole session.
    """
    with required(Sshd(authorized=[(ssh_keys / "login.pub").read_text()], accounts=accounts())) as server:
        yield server


@pytest.fixture(scope="session")
def ssh_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """200 hosts to log in to, and one of each bad kind (:func:`candy_testbed.ssh_hosts.hosts`)."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(hosts(tmp_path_factory.mktemp("hosts")))
        except MissingServer as missing:
            skip_or_fail(missing)
        yield running


@pytest.fixture
def start_agent() -> StartAgent:
    """Starts the whole agent as a process: ``async with start_agent(CANDY_BASH_GRACE="0.2") as agent``."""
    return agent_running


@pytest.fixture
def sleepers() -> Iterator[Sleepers]:
    """A unique number of seconds; the test fails if a process still sleeps for it at the end."""
    with sleepers_gone() as made:
        yield made
