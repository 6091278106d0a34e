"""An HTTP server that misbehaves in many ways, as a process of its own.

What it does is the first part of the path, so that one server provides all the bad datasources that a test needs:
``HostileHttp().url + "/hangs"`` and so on, for each of :data:`BEHAVIOURS`. Run by ``python -m candy_testbed.hostile``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Sequence

from candy_testbed.server import LoopbackServer

PIECE = 65536


class HostileHttp(LoopbackServer):
    """The server, started and stopped like the testbed's other servers."""

    program = sys.executable
    package = "python3"

    def command(self) -> Sequence[str]:
        """The port is the one argument."""
        return ["-m", "candy_testbed.hostile", str(self.port)]

    def ready(self) -> bool:
        """Whether it accepts connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
        except OSError:
            return False
        return True


async def hangs(writer: asyncio.StreamWriter, head: str) -> None:
    """Never responds."""
    await asyncio.Event().wait()


async def hangs_half_way(writer: asyncio.StreamWriter, head: str) -> None:
    """Sends the beginning of a response."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
    await asyncio.Event().wait()


async def trickles(writer: asyncio.StreamWriter, head: str) -> None:
    """A byte at a time, without end."""
    await _chunked(writer, b" ", pause=0.01)


async def never_ends(writer: asyncio.StreamWriter, head: str) -> None:
    """The beginning of JSON, as fast as possible and without end."""
    await _chunked(writer, b" " * PIECE)


async def random_bytes(writer: asyncio.StreamWriter, head: str) -> None:
    """Random bytes, without end."""
    await _chunked(writer, os.urandom(PIECE))


async def announces_a_gigabyte(writer: asyncio.StreamWriter, head: str) -> None:
    """Announces a gigabyte and starts sending it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n")
    while True:
        writer.write(b" " * PIECE)
        await writer.drain()


async def resets(writer: asyncio.StreamWriter, head: str) -> None:
    """Resets the connection."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def html(writer: asyncio.StreamWriter, head: str) -> None:
    """200, and a page to log in."""
    await _whole(writer, "200 OK", b"<html>Please log in</html>")


async def refuses(writer: asyncio.StreamWriter, head: str) -> None:
    """401."""
    await _whole(writer, "401 Unauthorized", b"who are you")


async def repeats(writer: asyncio.StreamWriter, head: str) -> None:
    """500 with the request echoed, as some proxies do."""
    await _whole(writer, "500 Internal Server Error", head.encode())


BEHAVIOURS: dict[str, Callable[[asyncio.StreamWriter, str], Awaitable[None]]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        *(hangs, hangs_half_way, trickles, never_ends, random_bytes, announces_a_gigabyte),
        *(resets, html, refuses, repeats),
    )
}


async def _whole(writer: asyncio.StreamWriter, status: str, body: bytes) -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def _chunked(writer: asyncio.StreamWriter, piece: bytes, pause: float = 0.0) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
        await asyncio.sleep(pause)


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, request by request."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while not writer.is_closing():
            head = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
            headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
            await reader.readexactly(int(headers.get("content-length", 0)))
            name = head.split(" ", 2)[1].split("/")[1]
            await BEHAVIOURS.get(name, hangs)(writer, head)
    writer.close()


async def serve(port: int) -> None:
    """Until it is stopped."""
    server = await asyncio.start_server(handle, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
