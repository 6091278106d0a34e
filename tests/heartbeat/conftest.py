"""A Candy-Server that records heartbeats, and a heartbeat service with a timer that the test controls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import structlog
from aiohttp import web
from attrs import define, field
from structlog.testing import capture_logs

from candy_core import NotFound, Secret
from candy_core.config.runtime import RuntimeConfig
from candy_core.config.settings import Address, Settings
from candy_core.heartbeat.service import HeartbeatService, HeartbeatSources
from candy_core.metrics import Metrics
from candy_core.model.heartbeat import PluginBrief
from candy_core.model.http_url import HttpUrl
from candy_core.task_store import StoreCounts
from candy_testbed import eventually

Start = Callable[..., Awaitable[Any]]


@define
class CandyServer:
    """Records the heartbeats that it receives."""

    answer: Callable[[], web.Response] = lambda: web.json_response({})
    heartbeats: list[dict[str, Any]] = field(factory=list)
    headers: list[Mapping[str, str]] = field(factory=list)
    paths: list[str] = field(factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.heartbeats.append(json.loads(await request.read()))
        self.headers.append(request.headers)
        self.paths.append(f"{request.method} {request.raw_path}")
        return self.answer()


@define
class Timer:
    """Replaces the wait between heartbeats: ``step`` ends one pause, ``pauses`` are all that began."""

    pauses: list[float] = field(factory=list)
    steps: asyncio.Queue[None] = field(factory=asyncio.Queue)

    async def wait(self, changed: asyncio.Event, seconds: float) -> bool:
        self.pauses.append(seconds)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(changed.wait()), group.create_task(self.steps.get())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        return changed.is_set()

    async def paused(self, times: int) -> None:
        """Wait until ``times`` pauses have begun."""
        await eventually(lambda: len(self.pauses) == times)

    def step(self) -> None:
        self.steps.put_nowait(None)


@define
class Running:
    service: HeartbeatService
    runtime: RuntimeConfig
    metrics: Metrics
    timer: Timer
    logs: list[Any]

    def counted(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("candy_heartbeats_total", {"result": result}) or 0.0


COUNTS = StoreCounts(pending=3, running=2, capacity=1000, waiting=7)


@pytest.fixture
async def candy_server() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(answer: Callable[[], web.Response] = lambda: web.json_response({})) -> CandyServer:
            server = CandyServer(answer)
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", server.handle)
            runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            return server

        yield start


@pytest.fixture
async def heartbeat() -> AsyncIterator[Callable[..., Running]]:
    """Creates services, and runs them unless ``run=False``. ``sources`` replace fields of :class:`HeartbeatSources`."""
    async with AsyncExitStack() as stack:
        logs = stack.enter_context(capture_logs())

        def start(
            url: str | None,
            *,
            run: bool = True,
            server_key: str | None = "server-key",
            environ: Mapping[str, str] | None = None,
            settings: Mapping[str, Any] | None = None,
            **sources: Any,
        ) -> Running:
            async def counts() -> StoreCounts:
                return COUNTS

            async def credential(name: str) -> Secret:
                if name != "server" or server_key is None:
                    raise NotFound(name)
                return Secret(server_key)

            all_settings = Settings(
                **{
                    "server_url": HttpUrl(url) if url else None,
                    "agent_id": "agent-001",
                    "cluster_name": "production-cluster",
                    **(settings or {}),
                }
            )
            runtime, metrics, timer = RuntimeConfig.of(all_settings), Metrics("0"), Timer()
            defaults: dict[str, Any] = {
                "counts": counts,
                "stalled": lambda: None,
                "plugins": lambda: [PluginBrief(name="prometheus", version="1.2", state="active")],
                "required_down": tuple,
                "executors": lambda: ["prometheus"],
                "listen": lambda: Address("0.0.0.0", 8888),
                "agent_key": lambda: None,
            }
            service = HeartbeatService(
                settings=all_settings,
                runtime=runtime,
                sources=HeartbeatSources(**{**defaults, **sources}),
                credential=credential,
                metrics=metrics,
                logger=structlog.get_logger(),
                environ=environ or {},
                uniform=lambda least, most: (least + most) / 2,
                wait=timer.wait,
            )
            if run:
                task = asyncio.create_task(service.run())
                stack.push_async_callback(_ended, task)
            return Running(service, runtime, metrics, timer, logs)

        yield start


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (fault := task.exception()) is not None:
        raise fault
