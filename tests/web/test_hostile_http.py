"""Malformed and hostile requests over a plain socket (contract section 1: 'A client's mistake never yields a 5xx')."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from candy_core.web import Runner, make_application
from candy_core.web.request_context import RequestLimits
from tests.web.conftest import KEY, Client, item

POST = f"POST /api/v1/task HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"


async def talk(client: Client, *pieces: bytes, half_close: bool = False, port: int | None = None) -> tuple[int, bytes]:
    """Send pieces, then read one response. Status 0 if the agent closes without a response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port or client.agent.address.port)
    try:
        async with asyncio.timeout(60):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            if half_close:
                writer.write_eof()
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, b""
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
            return int(head.split(b" ")[1]), body
    finally:
        writer.close()


async def alive(client: Client) -> None:
    assert (await client.request("GET", "/health", key=None)).status == 200


def post(body: bytes, more: str = "") -> bytes:
    return f"{POST}{more}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


async def is_bad_json(client: Client, body: bytes) -> None:
    status, answer = await talk(client, post(body))
    assert (status, json.loads(answer)["code"]) == (400, "bad_json"), (body[:80], answer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 101 + b"]" * 101,
        b'{"items":[{"id":1,"type":"nap"}],"items":[{"id":2,"type":"nap"}]}',
        b'{"items":[{"id":1,"type":"\\ud83c"}]}',
        b'{"items":[{"id":1,"type":"\xed\xa0\xbc"}]}',
        b'{"items":[{"id":1,"type":"\xff"}]}',
        b'{"timeout":NaN}',
        b'{"timeout":-Infinity}',
        b'{"timeout":1e999}',
        b'\xef\xbb\xbf{"items":[]}',
        "{}".encode("utf-16"),
        b"{} {}",
        b"9" * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_invalid_json_is_400(client: Client, body: bytes) -> None:
    """Contract §1: 'Duplicate keys, nesting over 100, invalid UTF-8 … are not accepted as JSON: 400'."""
    await is_bad_json(client, body)
    await alive(client)


async def test_a_gzip_bomb_is_rejected_before_it_is_decompressed(client: Client) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    for coding in ("gzip", "deflate", "br", "identity, gzip"):
        status, answer = await talk(client, post(bomb, f"Content-Encoding: {coding}\r\n"))
        assert (status, json.loads(answer)["code"]) == (415, "unsupported_media_type")
    plain = json.dumps({"items": [item()]}).encode()
    assert (await talk(client, post(plain, "Content-Encoding: identity\r\n")))[0] == 202


async def test_a_header_of_a_megabyte_is_rejected(client: Client) -> None:
    for head in (
        b"GET /health HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /health?" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n",
    ):
        status, answer = await talk(client, head)
        assert status in (0, 400)
        if answer:
            assert json.loads(answer)["code"] == "bad_json"
    await alive(client)


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / FOO/1.1\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /health HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"GET /health HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n",
        b"POST /api/v1/task HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        b"POST /api/v1/task HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"GET /health HTTP/1.1\r\n folded: x\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET //[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://[bad HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a:99999999/health HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /health\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%zz?%zz=%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=lambda head: repr(head[:60]),
)
async def test_malformed_http_is_4xx_and_a_problem_document(client: Client, head: bytes) -> None:
    """Contract §1: 'Errors are RFC 9457 application/problem+json'."""
    status, answer = await talk(client, head)
    assert 400 <= status < 500, (status, answer)
    document = json.loads(answer)
    assert document["code"] in ("bad_json", "not_found", "method_not_allowed", "unauthenticated")
    assert document["status"] == status
    await alive(client)


async def test_odd_headers_on_a_good_request_never_yield_a_5xx(client: Client) -> None:
    body = json.dumps({"items": [item()]}).encode()
    for more in (
        "Content-Type: application/json; charset=no-such-thing\r\n",
        'Prefer: handling="strict\r\n',
        "Prefer: ,,,=;;\r\n",
        "Prefer: \xff\xfe=\xff\r\n",
        "X-Request-ID: \xff\r\n",
        "Cookie: \xff; a=b=c; ;;\r\n",
        "Range: bytes=5-1\r\n",
        "If-Modified-Since: yesterday\r\n",
        "Accept: \xff\r\n",
        "Expect: miracles\r\n",
        "Authorization: Negotiate \xff\r\n",
        "X-Forwarded-For: \xff\r\n",
    ):
        status, answer = await talk(client, post(body, more))
        assert status < 500, (more, answer)
    await alive(client)


async def test_a_body_over_the_limit_is_413_with_and_without_content_length(client: Client) -> None:
    """Contract §1: '413 too_large'; §7: 'CANDY_MAX_BODY'."""
    size = client.agent.services.settings.max_body
    status, answer = await talk(client, f"{POST}Content-Length: {size + 1}\r\n\r\n".encode())
    assert (status, json.loads(answer)["code"]) == (413, "too_large")
    reader, writer = await asyncio.open_connection("127.0.0.1", client.agent.address.port)
    writer.write(f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with asyncio.timeout(60):
        for _ in range(size // 0x10000 + 1):
            writer.write(chunk)
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
    assert b" 413 " in head.split(b"\r\n")[0] + b" "
    writer.close()
    await alive(client)


async def test_no_100_continue_for_a_rejected_request(client: Client) -> None:
    """``100 Continue`` is sent after the key, the content type and the size have been checked."""
    body = json.dumps({"items": [item()]}).encode()
    wrong = post(body, "Expect: 100-continue\r\n").replace(KEY.encode(), b"wrong")
    assert (await talk(client, wrong.removesuffix(body)))[0] == 401
    reader, writer = await asyncio.open_connection("127.0.0.1", client.agent.address.port)
    writer.write(post(body, "Expect: 100-continue\r\n").removesuffix(body))
    async with asyncio.timeout(60):
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        assert b" 202 " in await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_an_incomplete_body_has_no_effect(client: Client) -> None:
    whole = json.dumps({"task_id": "half", "items": [item()]}).encode()
    for sent in (post(whole)[:-10], f"{POST}Transfer-Encoding: chunked\r\n\r\nff\r\nabc".encode()):
        status, answer = await talk(client, sent, half_close=True)
        assert status in (0, 400), answer
    status, answer = await talk(client, f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n".encode())
    assert status in (0, 400), answer
    await client.rejected(404, "not_found", "GET", "/api/v1/tasks/half")
    await alive(client)


async def test_a_body_without_a_content_type_is_415(client: Client) -> None:
    """Contract §1: "Request bodies need `Content-Type: application/json` …; anything else is 415"."""
    body = json.dumps({"items": [item()]}).encode()
    status, answer = await talk(client, post(body).replace(b"Content-Type: application/json\r\n", b""))
    assert (status, json.loads(answer)["code"]) == (415, "unsupported_media_type")


@asynccontextmanager
async def with_short_limits(client: Client, *, seconds: float = 0.5) -> AsyncIterator[int]:
    """The same agent on a second port, with very short time limits."""
    application = make_application(
        client.agent.services, limits=RequestLimits(size=10_000, seconds=seconds, pause=0.05, idle=0.2)
    )
    runner = Runner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_a_slow_body_is_400_and_the_connection_is_closed(client: Client) -> None:
    async with with_short_limits(client) as port:
        status, answer = await talk(client, f"{POST}Content-Length: 500\r\n\r\n{{".encode(), port=port)
        assert (status, json.loads(answer)["code"]) == (400, "bad_json")
        assert "slowly" in json.loads(answer)["detail"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{POST}Content-Length: 5000\r\n\r\n".encode())
        async with asyncio.timeout(60):
            head = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
            while not head.done():  # each pause is short, but all of it takes too long
                writer.write(b" ")
                await asyncio.sleep(0.01)
        assert b" 400 " in head.result()
        writer.close()


async def test_a_stalled_body_is_rejected_long_before_its_time_limit(client: Client) -> None:
    async with with_short_limits(client, seconds=3600) as port, asyncio.timeout(20):
        status, answer = await talk(client, f"{POST}Content-Length: 500\r\n\r\n{{".encode(), port=port)
        assert (status, json.loads(answer)["code"]) == (400, "bad_json")


async def test_endless_headers_close_the_connection(client: Client) -> None:
    """The client sends a header line every 20 ms."""
    async with with_short_limits(client) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.1\r\n")
        closed = asyncio.ensure_future(reader.read())
        async with asyncio.timeout(60):
            while not closed.done():
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.02)
        with contextlib.suppress(ConnectionError):
            assert closed.result() == b""
        writer.close()


async def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    body = json.dumps({"items": [item()]}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", client.agent.address.port)
    writer.write(post(b"[1") + post(body) + post(b"{}") + b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    statuses = []
    async with asyncio.timeout(60):
        for _ in range(4):
            head = await reader.readuntil(b"\r\n\r\n")
            statuses.append(int(head.split(b" ")[1]))
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
    assert statuses == [400, 202, 422, 200]
    writer.close()


async def test_a_large_body_is_accepted(client: Client) -> None:
    items = [item(number, say="x" * 100) for number in range(10_000)]
    answer = await client.request("POST", "/api/v1/task?dry_run=true", json={"items": items})
    assert answer.status == 200
    assert len(answer.body["items"]) == 10_000
    refused = await client.rejected(422, "invalid", "POST", "/api/v1/task", json={"items": [*items, item(-1)]})
    assert refused.body["errors"] == [{"path": "$.items", "message": "expected at most 10000 element(s)"}]
