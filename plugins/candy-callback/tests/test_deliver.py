"""Contract section 4: what is sent, and the outcome of each response."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from aiohttp import web

from candy_callback.url import CallbackUrl
from candy_core import Callback, Delivered, Event, Json, Refused, Retry, Secret

Start = Callable[..., Awaitable[Any]]
Make = Callable[..., Any]


def hmac_sha256(key: bytes, message: bytes) -> str:
    """RFC 2104, written out so that the library is not checked against itself."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()


async def test_a_result_is_posted_to_candy_server_by_default(receiver: Start, reporter: Start, delivery: Make) -> None:
    """Contract §4: 'by default `{CANDY_SERVER_URL}/api/v1/results/{task_id}`. The body is the result object'"""
    server = await receiver()
    answer = await (await reporter(server.url)).deliver(delivery())
    assert isinstance(answer, Delivered)
    (request,) = server.received
    assert (request.method, request.path) == ("POST", "/api/v1/results/task-1")
    assert request.body == '{"task_id":"task-1","message":"值"}'.encode()
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("task_id", ["a:b-c", "a/../b", "a?b=c&d#e", "值 %2F"])
async def test_a_task_id_remains_one_path_segment(
    receiver: Start, reporter: Start, delivery: Make, task_id: str
) -> None:
    """Contract §4: '`{task_id}` in it is filled in'."""
    server = await receiver()
    callback_reporter = await reporter(url=CallbackUrl.parse(server.url + "/x/{task_id}/y?task={task_id}"))
    await callback_reporter.deliver(delivery(task_id=task_id))
    path, _, query = server.received[0].path.partition("?")
    assert [unquote(segment) for segment in path.split("/")] == ["", "x", task_id, "y"]
    assert parse_qs(query) == {"task": [task_id]}


async def test_every_attempt_carries_the_headers_of_the_contract(
    receiver: Start, reporter: Start, delivery: Make
) -> None:
    """Contract §4: '`Idempotency-Key` | the same for every attempt'"""
    server = await receiver(status=500)
    callback_reporter = await reporter(server.url)
    before = int(time.time())
    for attempt in (1, 2, 3):
        await callback_reporter.deliver(delivery(attempt=attempt, event=Event.ENDED))
    assert {request.headers["Idempotency-Key"] for request in server.received} == {"delivery-of-task-1"}
    for request in server.received:
        assert request.headers["X-Candy-Event"] == "ended"
        assert request.headers["X-API-Key"] == "server-key-0123456789"
        assert before <= int(request.headers["X-Candy-Timestamp"]) <= time.time()


@pytest.mark.parametrize(
    ("secret", "server_key", "agent_key", "signs"),
    [
        ("callback-secret", "server", "agent", b"callback-secret"),
        (None, "server", "agent", b"server"),
        (None, None, "agent", b"agent"),
        ("密钥" * 40, "server", "agent", ("密钥" * 40).encode()),
    ],
)
async def test_the_signature_is_made_of_timestamp_and_raw_body(
    receiver: Start,
    reporter: Start,
    delivery: Make,
    keys: Any,
    secret: str | None,
    server_key: str | None,
    agent_key: str,
    signs: bytes,
) -> None:
    """Contract §4: 'Secret: `CANDY_CALLBACK_SECRET`, else `CANDY_SERVER_API_KEY`, else the agent's own key.'"""
    keys.server, keys.agent = server_key, agent_key
    server = await receiver()
    callback_reporter = await reporter(server.url, secret=Secret(secret) if secret else None)
    await callback_reporter.deliver(delivery(callback=Callback(params={"票": [1, None, {"a": 2.5}]})))
    (request,) = server.received
    message = request.headers["X-Candy-Timestamp"].encode() + b"." + request.body
    assert request.headers["X-Candy-Signature"] == "sha256=" + hmac_sha256(signs, message)
    assert ("X-API-Key" in request.headers) == (server_key is not None)


async def test_without_a_secret_a_result_is_sent_unsigned(
    receiver: Start, reporter: Start, delivery: Make, keys: Any
) -> None:
    keys.server = keys.agent = None
    server = await receiver()
    assert isinstance(await (await reporter(server.url)).deliver(delivery()), Delivered)
    assert "X-Candy-Signature" not in server.received[0].headers


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
async def test_any_2xx_is_success(receiver: Start, reporter: Start, delivery: Make, status: int) -> None:
    """Contract §4: 'Any 2xx is success.'"""
    server = await receiver(status=status)
    assert isinstance(await (await reporter(server.url)).deliver(delivery()), Delivered)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_a_temporary_failure_is_retried_with_the_cores_backoff(
    receiver: Start, reporter: Start, delivery: Make, status: int
) -> None:
    """Contract §4: 'Network errors, 408, 425, 429 and 5xx are tried again with exponential backoff and jitter'."""
    server = await receiver(status=status)
    answer = await (await reporter(server.url)).deliver(delivery())
    assert isinstance(answer, Retry)
    assert (answer.after, answer.blocked) == (None, False)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 400, 404, 405, 409, 410, 413, 415, 422, 451])
async def test_a_permanent_failure_is_refused(receiver: Start, reporter: Start, delivery: Make, status: int) -> None:
    """Contract §4: '3xx and other 4xx end in the dead letters.'"""
    server = await receiver(status=status)
    answer = await (await reporter(server.url)).deliver(delivery())
    assert isinstance(answer, Refused)
    assert str(status) in answer.why


async def test_a_redirect_is_not_followed_and_carries_no_key(receiver: Start, reporter: Start, delivery: Make) -> None:
    thief = await receiver()
    server = await receiver(status=307, headers={"Location": thief.url + "/steal"})
    assert isinstance(await (await reporter(server.url)).deliver(delivery()), Refused)
    assert thief.received == []


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("7", 7, 7), ("0", 1, 1), ("999999999", 3600, 3600), (20.0, 18, 20), (-50.0, 1, 1), ("soon", None, None)],
)
async def test_retry_after_is_honored_within_bounds(
    receiver: Start,
    reporter: Start,
    delivery: Make,
    header: str | float,
    least: float | None,
    most: float | None,
) -> None:
    """Contract §4: 'honouring `Retry-After`'; seconds or an HTTP date."""
    text = header if isinstance(header, str) else formatdate(time.time() + header, usegmt=True)
    server = await receiver(status=503, headers={"Retry-After": text})
    answer = await (await reporter(server.url)).deliver(delivery())
    assert isinstance(answer, Retry)
    if least is None or most is None:
        assert answer.after is None
    else:
        assert answer.after is not None
        assert least <= answer.after <= most


@pytest.mark.parametrize("status", [401, 403])
async def test_a_rejected_key_is_retried_after_five_minutes_and_a_rotated_one_is_accepted(
    receiver: Start, reporter: Start, delivery: Make, keys: Any, status: int
) -> None:
    """Contract §4: '401 and 403 every 5 minutes (a key may have been rotated), shown in `/ready`'."""
    server = await receiver(
        answer=lambda request: web.Response(status=200 if request.headers.get("X-API-Key") == "rotated" else status)
    )
    callback_reporter = await reporter(server.url)
    answer = await callback_reporter.deliver(delivery())
    assert isinstance(answer, Retry)
    assert (answer.after, answer.blocked) == (300.0, True)
    assert "server-key" not in answer.why
    keys.server = "rotated"
    assert isinstance(await callback_reporter.deliver(delivery()), Delivered)


async def test_a_connection_reset_before_a_response_is_retried(
    socket_server: Start, reporter: Start, delivery: Make
) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    answer = await (await reporter(await socket_server(reset))).deliver(delivery())
    assert isinstance(answer, Retry)


async def test_half_a_status_line_is_retried(socket_server: Start, reporter: Start, delivery: Make) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 20")
        await writer.drain()
        writer.close()

    assert isinstance(await (await reporter(await socket_server(half))).deliver(delivery()), Retry)


async def test_a_receiver_that_does_not_speak_http_is_retried(
    socket_server: Start, reporter: Start, delivery: Make
) -> None:
    async def send_ssh_banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        writer.close()

    assert isinstance(await (await reporter(await socket_server(send_ssh_banner))).deliver(delivery()), Retry)


async def test_a_2xx_with_a_truncated_body_is_delivered(socket_server: Start, reporter: Start, delivery: Make) -> None:
    """Contract §4: 'Any 2xx is success': the body does not matter."""

    async def truncate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()

    assert isinstance(await (await reporter(await socket_server(truncate))).deliver(delivery()), Delivered)


async def test_a_response_that_never_ends_is_cut_off(socket_server: Start, reporter: Start, delivery: Make) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    assert isinstance(await (await reporter(await socket_server(flood))).deliver(delivery()), Retry)
    assert sent < 64 * 1024 * 1024


async def test_a_receiver_that_hangs_is_retried_after_the_timeout(
    socket_server: Start, reporter: Start, delivery: Make
) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client disconnects

    callback_reporter = await reporter(await socket_server(hang), timeout=0.3)
    answer = await callback_reporter.deliver(delivery())
    assert isinstance(answer, Retry)
    assert "no answer within 0.3 s" in answer.why


async def test_a_refused_connection_is_retried(unused_tcp_port: int, reporter: Start, delivery: Make) -> None:
    callback_reporter = await reporter(url=CallbackUrl.parse(f"http://127.0.0.1:{unused_tcp_port}/r?token=geheim"))
    answer = await callback_reporter.deliver(delivery())
    assert isinstance(answer, Retry)
    assert "geheim" not in answer.why
    assert f"http://127.0.0.1:{unused_tcp_port}" in answer.why


async def test_a_host_name_that_does_not_resolve_is_retried(reporter: Start, delivery: Make) -> None:
    answer = await (await reporter("http://receiver.invalid")).deliver(delivery())
    assert isinstance(answer, Retry)
    assert "could not be resolved" in answer.why


async def test_the_response_body_and_its_cookies_are_ignored(receiver: Start, reporter: Start, delivery: Make) -> None:
    server = await receiver(
        answer=lambda _: web.Response(
            text='{"status":"failed"}', headers={"Set-Cookie": "a=b; Path=/", "Content-Encoding": "gzip"}
        )
    )
    callback_reporter = await reporter(server.url)
    for _ in range(2):
        assert isinstance(await callback_reporter.deliver(delivery()), Delivered)
    assert "Cookie" not in server.received[1].headers


async def test_deliveries_reuse_one_connection(receiver: Start, reporter: Start, delivery: Make) -> None:
    server = await receiver(answer=lambda _: web.Response(text="x" * 1000))
    callback_reporter = await reporter(server.url)
    for number in range(5):
        await callback_reporter.deliver(delivery(task_id=f"t{number}"))
    assert len({request.peer for request in server.received}) == 1


async def test_params_are_returned_verbatim_with_the_result(receiver: Start, reporter: Start, delivery: Make) -> None:
    """Contract §4: '`params` come back verbatim under the body's key `params`'."""
    server = await receiver()
    params: dict[str, Json] = {
        "票": "值",
        "n": 12345678901234567890123,
        "list": [1.5, None, True, {"x": ""}],
        "none": None,
    }
    await (await reporter(server.url)).deliver(delivery(callback=Callback(params=params)))
    body = json.loads(server.received[0].body)
    assert body == {"task_id": "task-1", "message": "值", "params": params}


async def test_without_params_the_document_is_sent_unchanged(receiver: Start, reporter: Start, delivery: Make) -> None:
    server = await receiver()
    await (await reporter(server.url)).deliver(delivery(callback=Callback()))
    assert "params" not in json.loads(server.received[0].body)


async def test_a_key_that_is_not_valid_in_a_header_is_not_shown(
    receiver: Start, reporter: Start, delivery: Make, keys: Any
) -> None:
    keys.server = "geheim\r\nX-Injected: 1"
    server = await receiver()
    answer = await (await reporter(server.url)).deliver(delivery())
    assert isinstance(answer, Retry)
    assert "geheim" not in answer.why
    assert server.received == []
