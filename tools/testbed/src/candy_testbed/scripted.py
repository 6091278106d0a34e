"""An HTTP server of one test, for what no real server can be made to do: the test defines each response.

The fixture :func:`serve` starts it over real sockets, within the test's own event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol, TypeAlias

import pytest
from attrs import define, field, frozen


@frozen
class Request:
    """What the server was sent: the request line, headers by their name in lower case, the body."""

    line: str
    headers: Mapping[str, str]
    body: bytes


@define
class Peer:
    """One request on the server's side, and the raw socket to answer it on."""

    request: Request
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, body: object, status: str = "200 OK", *, kind: str = "application/json", extra: str = ""
    ) -> None:
        """A whole, well-formed answer; anything but bytes and text is sent as JSON. ``extra`` are header lines."""
        text = body if isinstance(body, bytes | str) else json.dumps(body)
        raw = text if isinstance(text, bytes) else text.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n{extra}\r\n"
        await self.send(head.encode() + raw)

    def reset(self) -> None:
        """Reset the connection (RST)."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour: TypeAlias = Callable[[Peer], Awaitable[None]]
"""What is done to a request. It is cancelled where the client leaves."""


@define
class Server:
    """A server that handles each request with its behaviour."""

    url: str
    requests: list[Request] = field(factory=list)
    connections: int = 0
    """The number of connections so far."""
    open: int = 0
    """Connections that are open now."""


class Serve(Protocol):
    """Starts a server with a behaviour of its own, over TLS with ``ssl``."""

    async def __call__(self, behaviour: Behaviour, *, ssl: ssl.SSLContext | None = None) -> Server: ...


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """See :class:`Serve`. All servers end with the test."""
    async with AsyncExitStack() as stack:

        async def start(behaviour: Behaviour, *, ssl: ssl.SSLContext | None = None) -> Server:
            conversations: set[asyncio.Task[None]] = set()

            async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                assert isinstance(reader, _Reader)
                conversation = asyncio.current_task()
                assert conversation is not None
                conversations.add(conversation)
                server.connections += 1
                server.open += 1
                with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    while not writer.is_closing():
                        request = await _read(reader)
                        server.requests.append(request)
                        if not await _done(behaviour(Peer(request, writer)), reader.left):
                            break
                server.open -= 1
                writer.close()

            def protocol() -> asyncio.StreamReaderProtocol:
                return asyncio.StreamReaderProtocol(_Reader(), converse)

            listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=ssl)
            scheme = "https" if ssl else "http"
            server = Server(f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}")

            async def stop() -> None:
                listener.close()
                for conversation in conversations:
                    conversation.cancel()
                await asyncio.gather(*conversations, return_exceptions=True)

            stack.push_async_callback(stop)
            return server

        yield start


class _Reader(asyncio.StreamReader):
    """Knows when the client has left, without reading on."""

    def __init__(self) -> None:
        super().__init__()
        self.left = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.left.set()

    def set_exception(self, exc: BaseException) -> None:
        super().set_exception(exc)  # type: ignore[arg-type]  # the stubs ask for less than what comes
        self.left.set()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    return Request(line, headers, await reader.readexactly(int(headers.get("content-length", 0))))


async def _done(work: Awaitable[None], left: asyncio.Event) -> bool:
    """Do it, unless the client leaves before it is done."""
    doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(left.wait())
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            return False
        await doing
    finally:
        for each in (doing, leaving):
            each.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)
    return True
