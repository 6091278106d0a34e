"""A gateway before a real API server, as a process of its own: for some namespaces it does everything wrong.

A request for ``/namespaces/<behaviour>/…`` (``never-ends``, ``hangs``: those of :mod:`candy_testbed.hostile`, with a
dash for an underscore, and :data:`ANSWERS`) is mistreated, any other one passed on. It speaks plain HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from candy_testbed.hostile import BEHAVIOURS
from candy_testbed.server import LoopbackServer

ANSWERS = {
    "no-list": ("200 OK", b'{"kind":"Status","apiVersion":"v1"}'),
    "not-served": ("404 Not Found", b"404 page not found\n"),
    "busy": ("429 Too Many Requests", b'{"kind":"Status","message":"too many","code":429}'),
    "empty": ("200 OK", b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}'),
    "nonsense": ("200 OK", b'{"kind":"PodList","items":[1,{},{"metadata":[],"spec":"x","status":{"conditions":7}}]}'),
    "mangled": ("200 OK", b'{"kind":"PodList","items":[{"metadata":{"name":"\xed\xa0\x80"}}]}'),
    "deep": (
        "200 OK",
        b'{"kind":"PodList","items":[{"status":{"conditions":' + b"[" * 100_000 + b"]" * 100_000 + b"}}]}",
    ),
}
_NAMESPACE = re.compile(r"/namespaces/([^/?]+)/")


class HostileGateway(LoopbackServer):
    """The gateway, started and stopped as every other server of the testbed."""

    program = sys.executable
    package = "python3"

    def __init__(self, upstream: str, ca_file: Path) -> None:
        super().__init__()
        self._upstream = upstream
        self._ca_file = ca_file

    def command(self) -> Sequence[str]:
        """Port, the real server's URL, and the certificate to trust."""
        return ["-m", "candy_testbed.kube.gateway", str(self.port), self._upstream, str(self._ca_file)]

    def ready(self) -> bool:
        """Whether it accepts connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


async def serve(port: int, upstream: str, ca_file: str) -> None:
    """Until it is stopped; one request a connection."""
    tls = ssl.create_default_context(cafile=ca_file)
    where = urlsplit(upstream)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            found = _NAMESPACE.search(head.split("\r\n", 1)[0])
            name = found[1] if found else ""
            if name in ANSWERS:
                status, body = ANSWERS[name]
                head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            elif (behaviour := BEHAVIOURS.get(name.replace("-", "_"))) is not None:
                await behaviour(writer, head)
            else:
                await _pass_on(head, writer)
            await writer.drain()
        writer.close()

    async def _pass_on(head: str, writer: asyncio.StreamWriter) -> None:
        answers, there = await asyncio.open_connection(where.hostname, where.port, ssl=tls)
        try:
            there.write(head.replace("\r\n", "\r\nConnection: close\r\n", 1).encode())
            while piece := await answers.read(65536):
                writer.write(piece)
                await writer.drain()
        finally:
            there.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
