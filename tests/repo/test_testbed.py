"""The testbed itself: servers come up, are stopped by their own pid, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from candy_testbed import LoopbackServer, MissingServer, NotReady, Prometheus
from candy_testbed.fixtures import required


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Nowhere(LoopbackServer):
    """A server that nobody has."""

    program: ClassVar[str] = "candy-no-such-server"
    package: ClassVar[str] = "candy-no-such-package"

    def command(self) -> list[str]:
        return []

    def ready(self) -> bool:
        return True


class Short(LoopbackServer):
    """A program that ends at once, as a server does whose port is taken."""

    program: ClassVar[str] = "ls"
    package: ClassVar[str] = "coreutils"

    def command(self) -> list[str]:
        return ["/no/such/folder"]

    def ready(self) -> bool:
        return False


def test_the_prometheus_of_the_session_scrapes_itself_and_the_node_exporter(prometheus_server: Prometheus) -> None:
    up = prometheus_server.query("up")
    assert {series["metric"]["job"]: series["value"][1] for series in up} == {"prometheus": "1", "node": "1"}


def test_the_node_exporters_counters_have_a_rate(prometheus_server: Prometheus) -> None:
    assert prometheus_server.query('100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)')


def test_a_server_is_gone_with_its_folder_when_its_context_ends() -> None:
    with required(Prometheus()) as server:
        pid, folder = server.pid, server.folder
        assert alive(pid)
        assert folder.is_dir()
    assert not alive(pid)
    assert not folder.exists()


async def test_the_async_context_gives_the_same_server() -> None:
    server = Prometheus(itself=False, config="scrape_configs: []")
    with required(server):
        pass
    async with server:
        pid = server.pid
        assert server.ready()
    assert not alive(pid)


def test_a_server_dies_with_a_parent_that_is_killed() -> None:
    program = (
        "import sys, time\n"
        "from candy_testbed import Prometheus\n"
        "with Prometheus(itself=False) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with required(Prometheus(itself=False)):
        pass
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
        parent.wait()
        watch = os.pidfd_open(pid) if alive(pid) else None
        if watch is not None:
            import select

            assert select.select([watch], [], [], 10)[0], "the server outlived its parent"
            os.close(watch)
    assert not alive(pid)


def test_a_missing_server_names_its_debian_package() -> None:
    with pytest.raises(MissingServer, match="apt-get install candy-no-such-package"), Nowhere():
        pass


def test_a_missing_server_skips_a_test_unless_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANDY_TEST_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="candy-no-such-server"), required(Nowhere()):
        pass
    for wanted in ("all", "redis-server, candy-no-such-server"):
        monkeypatch.setenv("CANDY_TEST_REQUIRE", wanted)
        with pytest.raises(pytest.fail.Exception, match="CANDY_TEST_REQUIRE"), required(Nowhere()):
            pass


def test_a_server_that_ends_at_its_start_is_told_with_what_it_wrote() -> None:
    with pytest.raises(NotReady, match="/no/such/folder"), Short():
        pass
