"""The whole agent as a process, with the plugins that are installed, and a client that holds its key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from attrs import frozen

from candy_testbed import AgentProcess, KubeCluster

from .rights import Rights, rights_of_manifests

KEY = "test-key-that-must-not-be-seen"


@frozen
class RunningAgent:
    """An agent, and a client of its REST API."""

    process: AgentProcess
    http: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> Any:
        """GET a path; gives the JSON value."""
        async with self.http.get(path, headers=headers) as answer:
            return await answer.json(content_type=None)

    async def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        """POST a JSON value; gives status and answer."""
        async with self.http.post(path, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def delete(self, path: str) -> tuple[int, Any]:
        """DELETE a path; gives status and answer."""
        async with self.http.delete(path) as answer:
            return answer.status, await answer.json(content_type=None)

    async def run(self, task: Mapping[str, Any], seconds: float = 60.0) -> dict[str, Any]:
        """Send a task and wait for its result."""
        status, state = await self.post("/api/v1/task", task)
        assert status == 202, state
        return await self.result(state["task_id"], seconds)

    async def result(self, task_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Poll for a task's end, and give its result object."""
        async with asyncio.timeout(seconds):
            while (await self.get(f"/api/v1/tasks/{task_id}"))["status"] in ("pending", "running"):
                await asyncio.sleep(0.02)
        document: dict[str, Any] = await self.get(f"/api/v1/results/{task_id}")
        return document

    async def until_ready(self, seconds: float = 10.0) -> None:
        """Poll ``/ready``."""
        async with asyncio.timeout(seconds):
            while True:
                async with self.http.get("/ready") as answer:
                    if answer.status == 200:
                        return
                await asyncio.sleep(0.02)

    def log(self) -> list[dict[str, Any]]:
        """What it wrote on standard output, line by line."""
        lines = (self.process.folder / "output.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def peak_megabytes(self) -> float:
        """The most resident memory that the process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


StartAgent = Callable[..., AbstractAsyncContextManager[RunningAgent]]


@pytest.fixture
def start_agent() -> StartAgent:
    """Start an agent with some environment."""

    @asynccontextmanager
    async def start(**env: str) -> AsyncIterator[RunningAgent]:
        async with (
            AgentProcess(env={"CANDY_API_KEY": KEY, "AGENT_ID": "agent-001", **env}) as process,
            aiohttp.ClientSession(process.url, headers={"X-API-Key": KEY}) as http,
        ):
            agent = RunningAgent(process, http)
            await agent.until_ready()
            yield agent

    return start


@pytest.fixture
async def rights(kube_cluster: KubeCluster, tmp_path: Path) -> AsyncIterator[Rights]:
    """The manifests' ServiceAccount and roles, in the cluster for this test."""
    with rights_of_manifests(kube_cluster, tmp_path) as given:
        await given.until_given()
        yield given


@pytest.fixture
def in_cluster(rights: Rights) -> Mapping[str, str]:
    """The environment of an agent that is its manifests' ServiceAccount."""
    return rights.env
