"""How an agent ends whose plugins do not want it to."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from candy_server.server import CandyServer
from candy_testbed import AgentProcess, KubeCluster, busy_seconds, eventually
from candy_testbed.running_agent import StartAgent

_PLUGIN = '''
"""An executor that cannot be stopped."""

import asyncio
import time
from contextlib import asynccontextmanager
from attrs import frozen
from candy_core import *

@frozen(kw_only=True)
class Params:
    how: str = "task"
    seconds: float = 600.0

@frozen(kw_only=True)
class Settings:
    linger: float = 0.0

async def stay(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(end - time.monotonic())
        except asyncio.CancelledError:
            continue

class Stubborn:
    async def run(self, item, run):
        if item.params.how == "thread":
            await asyncio.to_thread(time.sleep, item.params.seconds)
        await stay(item.params.seconds)
        return Outcome(status=ItemStatus.NORMAL, reason=Reason.OK)

@asynccontextmanager
async def stubborn(context, settings):
    yield Stubborn()
    await stay(settings.linger)

@hookimpl
def candy_executors():
    return [ExecutorSpec(name="stubborn", params=Params, settings=Settings, open=stubborn)]
'''


@pytest.fixture
def stubborn(tmp_path: Path) -> dict[str, str]:
    """The environment in which an agent finds the plugin ``stubborn``."""
    package = tmp_path / "candy_stubborn"
    package.mkdir()
    (package / "__init__.py").write_text(dedent(_PLUGIN), encoding="utf-8")
    info = tmp_path / "candy_stubborn-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: candy-stubborn\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[candy]\nstubborn = candy_stubborn\n", encoding="utf-8")
    return {"PYTHONPATH": str(tmp_path)}


def task(task_id: str, **params: object) -> Mapping[str, Any]:
    """A task of one item that cannot be stopped."""
    return {"task_id": task_id, "items": [{"id": 1, "type": "stubborn", "params": params}]}


async def test_a_sync_of_rules_under_way_is_done_and_answered(
    start_agent: StartAgent, kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    """Contract §6: "running ones get CANDY_SHUTDOWN_GRACE": a caller hears what became of every rule."""
    path = f"/apis/monitoring.coreos.com/v1/namespaces/{kube_namespace}/prometheusrules"
    rules = [{"name": f"Rule{number}", "content": "up == 0"} for number in range(300)]
    body = {"type": "prometheus", "namespace": kube_namespace, "rules": rules}
    async with start_agent(KUBECONFIG=str(kube_cluster.kubeconfig)) as agent:
        syncing = asyncio.create_task(agent.post("/api/alert-rules/sync", body))
        await eventually(lambda: kube_cluster.api.request("GET", path, query={"limit": "1"})["items"])
        os.kill(agent.process.pid, signal.SIGTERM)
        status, answer = await syncing
        await asyncio.to_thread(agent.process.stop)
        assert agent.process.exit_code == 0
    assert (status, answer["summary"]["created"]) == (200, 300)


async def test_further_signals_do_not_kill_an_agent_that_is_stopping(start_agent: StartAgent) -> None:
    """Contract §6: "exit 0", also where a service manager sends SIGTERM again in the last moments."""
    async with start_agent() as agent:
        while agent.process.running:
            os.kill(agent.process.pid, signal.SIGTERM)
            await asyncio.sleep(0.001)
        await asyncio.to_thread(agent.process.stop)
        assert agent.process.exit_code == 0


@pytest.mark.parametrize("how", ["task", "thread"])
async def test_an_item_that_cannot_be_stopped_does_not_hold_up_the_end(
    start_agent: StartAgent, stubborn: dict[str, str], candy_server: CandyServer, how: str
) -> None:
    """Contract §6: "running ones get CANDY_SHUTDOWN_GRACE (25 s), the rest canceled, callbacks flushed, exit 0 within
    30 s": the grace and 5 seconds more."""
    async with start_agent(
        CANDY_SERVER_URL=candy_server.url,
        CANDY_SERVER_API_KEY=candy_server.key,
        CANDY_SHUTDOWN_GRACE="1",
        **stubborn,
    ) as agent:
        await agent.post("/api/v1/task", task("held", how=how))
        await agent.until_running("held")
        with busy_seconds() as passed:
            os.kill(agent.process.pid, signal.SIGTERM)
            await asyncio.to_thread(agent.process.stop)
            assert passed() < 6
        assert agent.process.exit_code == 0
    assert (await candy_server.callback("held")).body["status"] == "canceled"


async def test_whatever_hangs_the_agent_ends_in_its_time(start_agent: StartAgent, stubborn: dict[str, str]) -> None:
    """Contract §6: the grace and 5 seconds more, though no task, no plugin and no Candy-Server lets go."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # the requests, and then for ever
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with (
        server,
        start_agent(
            CANDY_SERVER_URL=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            CANDY_STUBBORN_LINGER="600",
            CANDY_SHUTDOWN_GRACE="1",
            **stubborn,
        ) as agent,
    ):
        for index in range(40):
            await agent.post("/api/v1/task", task(f"t{index}", how=["task", "thread"][index % 2]))
        await agent.until_running("t15")
        with busy_seconds() as passed:
            await asyncio.to_thread(agent.process.stop)
            assert passed() < 6
        assert agent.process.exit_code == 0


async def test_items_in_threads_hold_up_nothing_else(start_agent: StartAgent, stubborn: dict[str, str]) -> None:
    """A large body is read in a thread of the same pool, and names are looked up there."""
    async with start_agent(CANDY_SHUTDOWN_GRACE="0", **stubborn) as agent:
        items = [{"id": index, "type": "stubborn", "params": {"how": "thread"}} for index in range(40)]
        await agent.post("/api/v1/task", {"task_id": "held", "items": items})
        await agent.until_running("held", 32)
        # It is answered at all: the threads are held for ten minutes.
        status, _ = await agent.post("/api/v1/task", {"items": [{"id": 1, "type": "x", "name": "n" * 500_000}]})
        assert status == 202


async def test_sigterm_during_the_start_ends_it_with_zero(tmp_path: Path, stubborn: dict[str, str]) -> None:
    """Contract §6: "SIGTERM: … exit 0 within 30 s", also while plugins are still being imported."""
    reached = tmp_path / "reached"
    package = tmp_path / "candy_stubborn" / "__init__.py"
    slow = f"import pathlib, time\npathlib.Path({str(reached)!r}).touch()\ntime.sleep(600)\n"
    package.write_text(slow, encoding="utf-8")
    agent = await asyncio.create_subprocess_exec(
        AgentProcess.program,
        "serve",
        env={"CANDY_LISTEN": "127.0.0.1:0", "PATH": "/usr/bin:/bin", **stubborn},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await eventually(reached.exists)
        agent.terminate()
        assert await agent.wait() == 0  # and not after ten minutes
    finally:
        if agent.returncode is None:
            agent.kill()
            await agent.wait()
