"""A receiver of callbacks on real sockets, and a reporter opened as the agent opens it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from attrs import define, field, frozen

from candy_callback.plugin import open_reporter
from candy_callback.settings import CallbackSettings
from candy_core import Callback, Delivery, Event, NotFound, PluginContext, Reporter, Secret
from candy_core.testing.context import plugin_context


@frozen
class Received:
    """One request."""

    method: str
    path: str
    """Raw, with its query."""
    headers: Mapping[str, str]
    body: bytes
    peer: tuple[str, int]


@define
class Receiver:
    """An HTTP server on loopback that records requests and returns the configured response."""

    answer: Callable[[Received], Awaitable[web.StreamResponse] | web.StreamResponse]
    received: list[Received] = field(factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peername")[:2] if request.transport else ("", 0)
        received = Received(request.method, request.raw_path, request.headers, await request.read(), peer)
        self.received.append(received)
        answer = self.answer(received)
        return answer if isinstance(answer, web.StreamResponse) else await answer


@pytest.fixture
async def receiver() -> AsyncIterator[Callable[..., Awaitable[Receiver]]]:
    """Start receivers: ``await receiver(status=204)`` or ``await receiver(answer=function)``."""
    async with AsyncExitStack() as stack:

        async def start(
            status: int = 200,
            headers: Mapping[str, str] | None = None,
            answer: Callable[[Received], Any] | None = None,
            tls: ssl.SSLContext | None = None,
        ) -> Receiver:
            started = Receiver(answer or (lambda _: web.Response(status=status, headers=headers)))
            app = web.Application(client_max_size=64 * 1024 * 1024)
            app.router.add_route("*", "/{path:.*}", started.handle)
            runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            started.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
            return started

        yield start


@pytest.fixture
async def socket_server() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Start servers from a function of a reader and a writer, for behavior that an HTTP server cannot have."""
    async with AsyncExitStack() as stack:

        async def start(handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> str:
            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            stack.callback(server.close)
            return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

        yield start


@define
class Keys:
    """The agent's credentials; a test may change them at any time."""

    server: str | None = "server-key-0123456789"
    agent: str | None = "agent-key-0123456789"

    async def lookup(self, name: str) -> Secret:
        text = {"server": self.server, "agent": self.agent}.get(name)
        if text is None:
            raise NotFound(f"no credential {name}")
        return Secret(text)


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def context(keys: Keys) -> Callable[..., PluginContext]:
    def make(server_url: str | None = None) -> PluginContext:
        return plugin_context("callback", credential=keys.lookup, server_url=server_url)

    return make


@pytest.fixture
async def reporter(context: Callable[..., PluginContext]) -> AsyncIterator[Callable[..., Awaitable[Reporter]]]:
    """Open reporters: ``await reporter(server_url, timeout=1)``."""
    async with AsyncExitStack() as stack:

        async def start(server_url: str | None = None, **settings: Any) -> Reporter:
            return await stack.enter_async_context(open_reporter(context(server_url), CallbackSettings(**settings)))

        yield start


@pytest.fixture
def delivery() -> Callable[..., Delivery]:
    def make(
        task_id: str = "task-1",
        callback: Callback | None = None,
        document: bytes = '{"task_id":"task-1","message":"值"}'.encode(),
        event: Event = Event.ENDED,
        attempt: int = 1,
    ) -> Delivery:
        return Delivery(
            id=f"delivery-of-{task_id}",
            task_id=task_id,
            reporter="callback",
            event=event,
            callback=callback,
            document=document,
            created_at=datetime.now(UTC),
            attempt=attempt,
        )

    return make
