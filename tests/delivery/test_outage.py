"""No result is lost when Candy-Server is down or the agent is killed (contract section 4)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from attrs import define, field

from candy_callback.plugin import candy_reporters
from candy_callback.settings import CallbackSettings
from candy_core.store.memory_store import MemoryStore
from candy_core.task_store import StoreLimits
from candy_testbed import eventually

Start = Callable[..., Awaitable[Any]]

KEY = "the-key-of-these-tests"


@define
class CandyServer:
    """A stand-in for Candy-Server that records the idempotency keys of each result that it accepts."""

    status: Callable[[str], int] = lambda task_id: 200
    delay: float = 0.0
    port: int = 0
    accepted: dict[str, list[str]] = field(factory=dict)
    answered: Counter[int] = field(factory=Counter)

    async def handle(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        task_id = request.path.rpartition("/")[2]
        if "heartbeat" in request.path:
            return web.json_response({})
        assert body["task_id"] == task_id
        await asyncio.sleep(self.delay)
        status = self.status(task_id)
        self.answered[status] += 1
        if status == 200:
            self.accepted.setdefault(task_id, []).append(request.headers["Idempotency-Key"])
        return web.Response(status=status)

    @asynccontextmanager
    async def up(self) -> AsyncIterator[str]:
        """Listen, each time on the same port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
            self.port = runner.addresses[0][1]
            yield f"http://127.0.0.1:{self.port}"
        finally:
            await runner.cleanup()


async def test_ten_thousand_callbacks_survive_an_outage_of_the_server(start: Start) -> None:
    """Contract §4: 'Received = delivered + dead-lettered + still waiting, always, and `/metrics` shows it.'"""
    server = CandyServer(status=lambda task_id: 404 if task_id.endswith("7") else 200)
    async with server.up() as url:
        pass
    (spec,) = candy_reporters()
    store = MemoryStore(StoreLimits(max_pending=20_000))
    running = await start(
        spec, settings=lambda *_: CallbackSettings(), server_url=url, store=store, uniform=lambda least, most: 3.0
    )

    async def waiting() -> int:
        counts = await store.counts()
        assert counts.received == counts.delivered + counts.dead + counts.waiting
        return counts.waiting

    for number in range(10_000):
        await running.end_task(f"task-{number}")
        if number % 100 == 0:
            await waiting()
    assert await waiting() == 10_000
    tried = {"reporter": "callback", "answer": "retry"}
    await eventually(lambda: running.counted("candy_delivery_attempts_total", **tried) >= 1_000)
    assert await waiting() == 10_000
    async with server.up():
        await eventually(lambda: _none(waiting))
    counts = await store.counts()
    assert (counts.delivered, counts.dead, counts.waiting) == (9_000, 1_000, 0)
    assert len(server.accepted) == 9_000
    assert all(len(keys) == 1 for keys in server.accepted.values())


async def _none(waiting: Callable[[], Awaitable[int]]) -> bool:
    return await waiting() == 0


@asynccontextmanager
async def agent(
    spool: Path, server_url: str, *, limits: str = "true"
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """An agent in a process of its own, and its URL. Killed at the end if it still runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CANDY_")}
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        f'{limits}; exec "$0" -m candy_core serve',
        sys.executable,
        stdout=asyncio.subprocess.PIPE,
        env={
            **environment,
            "CANDY_LISTEN": "127.0.0.1:0",
            "CANDY_API_KEY": KEY,
            "CANDY_SERVER_URL": server_url,
            "CANDY_SPOOL_DIR": str(spool),
        },
    )
    assert process.stdout is not None
    try:
        address = ""
        async with asyncio.timeout(120):
            while '"event":"ready"' not in (line := (await process.stdout.readline()).decode()):
                assert line, "the agent did not start"
                if found := re.search(r'"address":"([^"]+)"', line):
                    address = found[1]
        drain = asyncio.create_task(process.stdout.read())
        yield process, f"http://{address}"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()
    await drain


async def run_tasks(url: str, names: list[str]) -> None:
    """Run tasks and wait for their end."""
    async with aiohttp.ClientSession(headers={"X-API-Key": KEY}) as session:
        for name in names:
            task = {"task_id": name, "items": [{"id": 1, "type": "no_such_type"}]}
            async with session.post(f"{url}/api/v1/task", json=task) as response:
                assert response.status == 202
        for name in names:

            async def completed(name: str = name) -> bool:
                async with session.get(f"{url}/api/v1/tasks/{name}") as response:
                    return bool((await response.json())["status"] == "completed")

            await eventually(completed)


def left_in(spool: Path, pattern: str) -> list[Path]:
    return list(spool.glob(f"*/{pattern}"))


async def test_kill_9_during_an_outage_loses_no_result(tmp_path: Path) -> None:
    """Contract §7: '`CANDY_SPOOL_DIR`: a folder in which undelivered callbacks outlive the process'."""
    server = CandyServer(status=lambda _: 503)
    names = [f"task-{number}" for number in range(40)]
    async with server.up() as url:
        async with agent(tmp_path, url) as (process, agent_url):
            await run_tasks(agent_url, names)
            process.kill()
            await process.wait()
        assert server.accepted == {}
        server.status = lambda _: 200
        async with agent(tmp_path, url):
            await eventually(lambda: len(server.accepted) == len(names))
    assert sorted(server.accepted) == sorted(names)


@pytest.mark.parametrize("after", [1, 10, 30])
async def test_kill_9_while_delivering_loses_no_result(tmp_path: Path, after: int) -> None:
    server = CandyServer(status=lambda _: 503, delay=0.01)
    names = [f"task-{number}" for number in range(40)]
    async with server.up() as url:
        async with agent(tmp_path, url) as (process, agent_url):
            await run_tasks(agent_url, names)
            server.status = lambda _: 200
            await eventually(lambda: len(server.accepted) >= after)
            process.kill()
            await process.wait()
        async with agent(tmp_path, url):
            await eventually(lambda: len(server.accepted) == len(names))
            await eventually(lambda: not left_in(tmp_path, "*.delivery"))
    assert sorted(server.accepted) == sorted(names)
    for keys in server.accepted.values():  # at least once; a duplicate has the same key
        assert len(set(keys)) == 1


async def test_a_full_disk_under_the_spool_stops_neither_tasks_nor_callbacks(tmp_path: Path) -> None:
    """A file size limit simulates the full disk: in both cases a write fails."""
    server = CandyServer()
    async with server.up() as url, agent(tmp_path, url, limits="ulimit -f 0") as (process, agent_url):
        await run_tasks(agent_url, ["task-1", "task-2"])
        await eventually(lambda: len(server.accepted) == 2)
        assert process.returncode is None
    assert not left_in(tmp_path, "*.part")


async def test_undelivered_results_are_sent_after_a_restart(tmp_path: Path) -> None:
    server = CandyServer(status=lambda _: 503)
    async with server.up() as url:
        async with agent(tmp_path, url) as (process, agent_url):
            await run_tasks(agent_url, ["task-1"])
            process.terminate()
            assert await process.wait() == 0
        server.status = lambda _: 200
        async with agent(tmp_path, url):
            await eventually(lambda: "task-1" in server.accepted)
