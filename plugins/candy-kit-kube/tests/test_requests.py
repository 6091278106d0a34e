"""Error responses and broken connections: each leads to one specific error."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from candy_core import (
    BackendUnavailable,
    CandyError,
    Conflict,
    Exists,
    Forbidden,
    Invalid,
    NotFound,
    Overloaded,
    Stale,
)
from candy_kit_kube import Gone, TooLarge, Unauthenticated
from candy_testbed import eventually

Write = Callable[..., Path]
SECRET = "very-secret-token-of-the-agent"
USER = {"token": SECRET}


def status(code: int, reason: str = "", message: str = "the server's message", **details: Any) -> dict[str, Any]:
    """A Status as the API server sends it."""
    return {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [
        (400, status(400, "BadRequest"), Invalid, "server's message"),
        (401, status(401, "Unauthorized"), Unauthenticated, "credential"),
        (403, status(403, "Forbidden", 'cannot list resource "pods"'), Forbidden, 'cannot list resource "pods"'),
        (404, status(404, "NotFound", name="x"), NotFound, "server's message"),
        (404, b"404 page not found\n", BackendUnavailable, "CustomResourceDefinition things.example.com"),
        (404, status(404, "NotFound"), BackendUnavailable, "CustomResourceDefinition things.example.com"),
        (409, status(409, "AlreadyExists", name="x"), Exists, "server's message"),
        (409, status(409, "Conflict", name="x"), Stale, "server's message"),
        (409, status(409, "Whatever", name="x"), Conflict, "server's message"),
        (410, status(410, "Expired"), Gone, "server's message"),
        (413, status(413, "RequestEntityTooLarge"), Invalid, "server's message"),
        (422, status(422, "Invalid", causes=[{"field": "spec.a", "message": "bad"}]), Invalid, r"\$\.spec\.a: bad"),
        (400, status(400, "BadRequest", 'strict decoding error: unknown field "spec.x"'), Invalid, r"\$\.spec\.x"),
        (403, status(403, "", 'admission webhook "w" denied the request: no team'), Invalid, "no team"),
        (500, status(500, "InternalError", "failed calling webhook"), BackendUnavailable, "failed calling webhook"),
        (500, b"<html>oops</html>", BackendUnavailable, "returned 500 and no reason"),
        (502, b"", BackendUnavailable, "502"),
        (503, status(503, "ServiceUnavailable"), BackendUnavailable, "server's message"),
        (504, status(504, "Timeout"), BackendUnavailable, "server's message"),
        (302, b"", BackendUnavailable, "302"),
        (200, b"<html>log in</html>", BackendUnavailable, "not JSON"),
    ],
)
async def test_every_status_is_one_kind_of_error(
    serve: Any, kubeconfig: Write, open_kube: Any, code: int, body: Any, kind: type[CandyError], words: str
) -> None:
    """Contract §1: statuses and codes. Kubernetes API conventions: what the API server means by its own."""

    async def answer(peer: Any) -> None:
        await peer.answer(body, f"{code} Whatever")

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url, user=USER))
    with pytest.raises(CandyError, match=words) as caught:
        await cluster.request("GET", "/apis/example.com/v1/namespaces/default/things/x")
    assert type(caught.value) is kind or isinstance(caught.value, kind | BackendUnavailable)
    assert caught.value.code == kind.code
    assert len(server.requests) == 1


async def test_429_is_retried_after_retry_after_and_then_raised(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """Contract §1: 429 … with `Retry-After`; the API server's priority and fairness sends it."""
    rejections = 2

    async def answer(peer: Any) -> None:
        nonlocal rejections
        rejections -= 1
        if rejections >= 0:
            await peer.answer(status(429), "429 Too Many Requests", extra="Retry-After: 0\r\n")
        else:
            await peer.answer({"fine": True})

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url))
    assert await cluster.request("PATCH", "/x", body={"a": 1}) == {"fine": True}
    assert [request.body for request in server.requests] == [b'{"a":1}'] * 3
    rejections = 1000
    server.requests.clear()
    with pytest.raises(Overloaded):
        await cluster.request("GET", "/x")
    assert 1 < len(server.requests) < 10, "a limited number of times"


async def test_a_429_with_a_long_retry_after_is_raised_immediately(
    serve: Any, kubeconfig: Write, open_kube: Any
) -> None:
    """No wait exceeds the call's timeout; the error has the time to wait."""

    async def answer(peer: Any) -> None:
        await peer.answer(status(429, retryAfterSeconds=77), "429 Too Many Requests")

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url))
    with pytest.raises(Overloaded) as caught:
        await cluster.request("GET", "/x")
    assert caught.value.retry_after == 77
    assert len(server.requests) == 1


async def hangs(peer: Any) -> None:
    await asyncio.Event().wait()


async def hangs_in_the_body(peer: Any) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    await asyncio.Event().wait()


async def resets(peer: Any) -> None:
    peer.reset()


async def closes(peer: Any) -> None:
    peer.writer.close()


async def truncates(peer: Any) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    peer.writer.close()


async def speaks_no_http(peer: Any) -> None:
    await peer.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    peer.writer.close()


async def returns_an_invalid_header(peer: Any) -> None:
    await peer.send(f"HTTP/1.1 200 OK\r\nX-Yours: {peer.request.headers['authorization']}\0\r\n\r\n".encode())
    peer.writer.close()


async def sends_an_endless_error(peer: Any) -> None:
    await peer.send(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


@pytest.mark.parametrize(
    "behavior",
    [
        hangs,
        hangs_in_the_body,
        resets,
        closes,
        truncates,
        speaks_no_http,
        returns_an_invalid_header,
        sends_an_endless_error,
    ],
)
async def test_a_broken_response_is_backend_unavailable(
    serve: Any, kubeconfig: Write, open_kube: Any, behavior: Any
) -> None:
    """Contract §5: a backend without its cluster is 503 `backend_unavailable`; every call is bounded in time."""
    server = await serve(behavior)
    cluster = await open_kube(kubeconfig(server.url, user=USER), timeout=0.3)
    for method in ("GET", "PATCH"):
        with pytest.raises(BackendUnavailable) as caught:
            await cluster.request(method, "/x")
        assert SECRET not in str(caught.value)

    async def closed() -> bool:
        return bool(server.open == 0)

    await eventually(closed)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_response_over_the_limit_is_not_read(
    serve: Any, kubeconfig: Write, open_kube: Any, chunked: bool
) -> None:
    """Contract §7: `CANDY_MAX_ANSWER` a backend's answer."""

    async def answer(peer: Any) -> None:
        if not chunked:
            await peer.answer(b" " * 70_000)
            return
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(b"1000\r\n" + b" " * 4096 + b"\r\n")

    cluster = await open_kube(kubeconfig((await serve(answer)).url), limit=65_536)
    with pytest.raises(TooLarge, match="65536"):
        await cluster.request("GET", "/x")


async def test_max_concurrent_bounds_the_requests_in_flight(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """The setting `max_concurrent`; connections are reused."""
    in_flight, most = 0, 0

    async def answer(peer: Any) -> None:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        for _ in range(5):
            await asyncio.sleep(0)
        in_flight -= 1
        await peer.answer({})

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url), max_concurrent=3)
    await asyncio.gather(*(cluster.request("GET", f"/{n}") for n in range(40)))
    assert (most, len(server.requests)) == (3, 40)
    assert server.open == 3


async def test_a_call_without_a_free_slot_times_out(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """The timeout of a call includes the wait for a request slot."""
    received = asyncio.Event()

    async def answer(peer: Any) -> None:
        received.set()
        await asyncio.Event().wait()

    cluster = await open_kube(kubeconfig((await serve(answer)).url), max_concurrent=1)
    first = asyncio.ensure_future(cluster.request("GET", "/x", timeout=60))
    await received.wait()
    with pytest.raises(Overloaded, match=r"no slot .* within 0\.2 s"):
        await cluster.request("GET", "/x", timeout=0.2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_canceled_call_leaves_nothing_behind(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """The port: nothing of a canceled call keeps running; its slot is free again."""
    received = asyncio.Event()

    async def answer(peer: Any) -> None:
        if "hang" in peer.request.line:
            received.set()
            await asyncio.Event().wait()
        await peer.answer({})

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url), max_concurrent=1)
    before = asyncio.all_tasks()
    call = asyncio.ensure_future(cluster.request("GET", "/hang"))
    await received.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    async def closed() -> bool:
        return bool(server.open == 0)

    await eventually(closed)
    assert await cluster.request("GET", "/x") == {}
    gc.collect()
    left = [each for each in asyncio.all_tasks() - before if "candy" in repr(each.get_coro())]
    assert left == []


async def test_no_error_log_or_repr_contains_the_credential(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """Contract §1: no body carries a secret. Some proxies repeat the request in their responses."""

    async def repeats(peer: Any) -> None:
        headers = json.dumps(dict(peer.request.headers))
        code = int(peer.request.line.split()[1].strip("/"))
        assert SECRET in headers
        await peer.answer(status(code, message=headers, causes=[{"field": "a", "message": headers}]), f"{code} No")

    with structlog.testing.capture_logs() as logs:
        cluster = await open_kube(kubeconfig((await serve(repeats)).url, user=USER))
        for code in (400, 401, 403, 404, 409, 410, 422, 500, 503):
            with pytest.raises(CandyError) as caught:
                await cluster.request("GET", f"/{code}")
            assert SECRET not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
        connection = await cluster._session.connections.get()
    assert SECRET in connection.authorization
    shown = [repr(each) for each in (connection, cluster, vars(cluster), vars(cluster._session.connections), logs)]
    assert [each for each in shown if SECRET in each] == []


async def test_a_request_has_the_path_query_headers_and_json_body(
    serve: Any, kubeconfig: Write, open_kube: Any
) -> None:
    """A base path in the server's address is kept: some gateways have one."""

    async def answer(peer: Any) -> None:
        await peer.answer(b"")

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(f"{server.url}/k8s/clusters/c-1/", user=USER))
    query = {"labelSelector": "a in (b,c)&x=y", "dryRun": "All"}
    assert await cluster.request("PATCH", "/api/v1/x", query=query, body={"ü": 1}, content_type="application/a") is None
    (request,) = server.requests
    assert request.line == (
        "PATCH /k8s/clusters/c-1/api/v1/x?labelSelector=a+in+%28b%2Cc%29%26x%3Dy&dryRun=All HTTP/1.1"
    )
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["content-type"] == "application/a"
    assert request.headers["user-agent"] == "candy-agent/0.1.0"
    assert json.loads(request.body) == {"ü": 1}


async def test_pages_follow_the_token_and_shrink_if_too_large(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """Kubernetes API concepts, "Retrieving large results sets in chunks"; the limit may change from page to page."""
    items = [{"n": n, "fill": "x" * 900} for n in range(30)]

    async def answer(peer: Any) -> None:
        query = dict(each.split("=") for each in peer.request.line.split()[1].partition("?")[2].split("&"))
        begin, limit = int(query.get("continue", "0")), int(query["limit"])
        more = {"continue": str(begin + limit)} if begin + limit < len(items) else {}
        await peer.answer({"metadata": more, "items": items[begin : begin + limit]})

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url), limit=8_000)
    found = [item for page in [page async for page in cluster.pages("/x", limit=20)] for item in page["items"]]
    assert found == items
    tiny = await open_kube(kubeconfig(server.url), limit=500)
    with pytest.raises(TooLarge):
        [page async for page in tiny.pages("/x", limit=20)]


async def test_a_list_continues_in_newer_data_after_its_token_has_expired(
    serve: Any, kubeconfig: Write, open_kube: Any
) -> None:
    """Kubernetes API concepts: a 410 may have a new token; without one the list has to be started again."""
    offered: dict[str, str] = {"continue": "new"}

    async def answer(peer: Any) -> None:
        if "continue=old" in peer.request.line:
            await peer.answer({**status(410, "Expired"), "metadata": offered}, "410 Gone")
        else:
            more = {} if "continue=new" in peer.request.line else {"continue": "old"}
            await peer.answer({"metadata": more, "items": [peer.request.line]})

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url))
    assert len([page async for page in cluster.pages("/x")]) == 2
    offered.clear()
    with pytest.raises(Gone):
        [page async for page in cluster.pages("/x")]
