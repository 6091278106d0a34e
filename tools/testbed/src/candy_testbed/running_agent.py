"""The whole agent as a process, and a client that holds its key: for the tests of plugins, too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
from attrs import frozen

from candy_testbed.agent import AgentProcess
from candy_testbed.waiting import busy_seconds, eventually

KEY = "test-key-that-must-not-be-seen"
"""The API key of a running agent; it has every scope."""


@frozen
class RunningAgent:
    """An agent, and a client of its REST API."""

    process: AgentProcess
    http: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> Any:
        """GET a path; returns the JSON value."""
        async with self.http.get(path, headers=headers) as answer:
            return await answer.json(content_type=None)

    async def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        """POST a JSON value; returns status and response."""
        async with self.http.post(path, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def delete(self, path: str) -> tuple[int, Any]:
        """DELETE a path; returns status and response."""
        async with self.http.delete(path) as answer:
            return answer.status, await answer.json(content_type=None)

    async def submit(self, task: Mapping[str, Any], **headers: str) -> str:
        """Send a task that must be accepted; returns its id."""
        status, state = await self.post("/api/v1/task", task, **headers)
        assert status == 202, state
        return str(state["task_id"])

    async def run(self, task: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """Send a task and wait for its result."""
        return await self.result(await self.submit(task, **headers))

    async def result(self, task_id: str) -> dict[str, Any]:
        """Wait until a task has ended; returns its result object."""

        async def ended() -> bool:
            return (await self.get(f"/api/v1/tasks/{task_id}"))["status"] not in ("pending", "running")

        await eventually(ended, within=300)
        document: dict[str, Any] = await self.get(f"/api/v1/results/{task_id}")
        return document

    async def until_running(self, task_id: str, items: int = 1) -> None:
        """Wait until this many items of a task are running."""

        async def running() -> bool:
            progress = (await self.get(f"/api/v1/tasks/{task_id}"))["progress"]
            return bool(progress["running"] >= items)

        await eventually(running)

    async def until_ready(self) -> None:
        """Wait for a 200 from ``/ready``."""

        async def ready() -> bool:
            async with self.http.get("/ready") as answer:
                return answer.status == 200

        await eventually(ready)

    def output(self) -> str:
        """What it wrote on standard output and standard error."""
        return (self.process.folder / "output.log").read_text()

    def log(self) -> list[dict[str, Any]]:
        """The same, line by line."""
        return [json.loads(line) for line in self.output().splitlines()]

    def peak_megabytes(self) -> float:
        """The peak resident memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


StartAgent: TypeAlias = Callable[..., AbstractAsyncContextManager[RunningAgent]]


@asynccontextmanager
async def agent_running(**env: str) -> AsyncIterator[RunningAgent]:
    """An agent with some environment, ready; it ends with the context, in order."""
    async with (
        AgentProcess(env={"CANDY_API_KEY": KEY, "AGENT_ID": "agent-001", **env}) as process,
        aiohttp.ClientSession(process.url, headers={"X-API-Key": KEY}) as http,
    ):
        agent = RunningAgent(process, http)
        await agent.until_ready()
        yield agent
        with busy_seconds() as passed:
            await asyncio.to_thread(process.stop)
            assert passed() < 31, "contract, section 6: gone within 30 s"
