"""Posts tasks over kept connections, as fast as they are taken. Run as a program, so that it has a core of its own.

It writes prepared bytes and reads no more of an answer than status and length: a client that did more would be what is
measured. How busy it was is part of its report.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence

import orjson
import uvloop
from attrs import asdict, define, frozen

TASK = {
    "items": [
        {
            "id": 1,
            "name": "CPU使用率检查",
            "type": "prometheus",
            "params": {
                "query": '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)',
                "threshold": "80",
            },
        },
        {
            "id": 2,
            "name": "内存使用率检查",
            "type": "prometheus",
            "params": {
                "query": "100 * (1 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes))",
                "threshold": "90",
            },
        },
    ],
    "timeout": 300,
}
"""The contract's example (section 2), with both items of the type that is installed."""


@frozen(kw_only=True)
class Order:
    """What to send where, by how many clients at once."""

    port: int
    key: str
    requests: int
    clients: int


@frozen(kw_only=True)
class Report:
    """Seconds from the first request to the last answer, answers by status, and the part of that time it computed."""

    seconds: float
    statuses: dict[str, int]
    busy: float


@define
class _Work:
    waiting: deque[bytes]
    statuses: Counter[str]
    clients: int
    done: asyncio.Future[None]


class _Client(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are no subclasses

    def send(self) -> None:
        """Send the next request, or close when there is none."""
        assert self._transport is not None
        if self._work.waiting:
            self._transport.write(self._work.waiting.popleft())
            return
        self._transport.close()
        self._work.clients -= 1
        if self._work.clients == 0:
            self._work.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = received.index(b"Content-Length: ") + 16
        if len(received) < end + 4 + int(received[length : received.index(b"\r\n", length)]):
            return
        self._work.statuses[received[9:12].decode()] += 1
        self._received = b""
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._work.done.done() and (error is not None or self._work.waiting):
            self._work.done.set_exception(error or ConnectionError("the server closed a connection"))


def _requests(order: Order) -> Sequence[bytes]:
    series = secrets.token_hex(4)
    made = []
    for number in range(order.requests):
        body = orjson.dumps({"task_id": f"{series}-{number}", **TASK})
        head = (
            f"POST /api/v1/task HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {order.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


async def carry_out(order: Order) -> Report:
    """Send every request. Raises ``OSError`` where the server closes a connection."""
    loop = asyncio.get_running_loop()
    work = _Work(deque(_requests(order)), Counter(), order.clients, loop.create_future())
    clients = [
        (await loop.create_connection(lambda: _Client(work), "127.0.0.1", order.port))[1] for _ in range(order.clients)
    ]
    began, computed = time.perf_counter(), time.process_time()
    for client in clients:
        client.send()
    await work.done
    seconds = time.perf_counter() - began
    return Report(seconds=seconds, statuses=dict(work.statuses), busy=(time.process_time() - computed) / seconds)


def main() -> None:
    """Read an order as JSON from standard input, write the report as JSON to standard output."""
    order = Order(**orjson.loads(sys.stdin.buffer.read()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(carry_out(order))
    sys.stdout.buffer.write(orjson.dumps(asdict(report)))


if __name__ == "__main__":
    main()
