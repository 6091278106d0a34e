"""What an API server, or something in its place, can do to a request: each gets one truthful error."""

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


def status(code: int, reason: str = "", message: str = "the server's own words", **details: Any) -> dict[str, Any]:
    """A Status as the API server sends it."""
    return {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [
        (400, status(400, "BadRequest"), Invalid, "own words"),
        (401, status(401, "Unauthorized"), Unauthenticated, "credential"),
        (403, status(403, "Forbidden", 'cannot list resource "pods"'), Forbidden, 'cannot list resource "pods"'),
        (404, status(404, "NotFound", name="x"), NotFound, "own words"),
        (404, b"404 page not found\n", BackendUnavailable, "CustomResourceDefinition things.example.com"),
        (404, status(404, "NotFound"), BackendUnavailable, "CustomResourceDefinition things.example.com"),
        (409, status(409, "AlreadyExists", name="x"), Exists, "own words"),
        (409, status(409, "Conflict", name="x"), Stale, "own words"),
        (409, status(409, "Whatever", name="x"), Conflict, "own words"),
        (410, status(410, "Expired"), Gone, "own words"),
        (413, status(413, "RequestEntityTooLarge"), Invalid, "own words"),
        (422, status(422, "Invalid", causes=[{"field": "spec.a", "message": "bad"}]), Invalid, r"\$\.spec\.a: bad"),
        (400, status(400, "BadRequest", 'strict decoding error: unknown field "spec.x"'), Invalid, r"\$\.spec\.x"),
        (403, status(403, "", 'admission webhook "w" denied the request: no team'), Invalid, "no team"),
        (500, status(500, "InternalError", "failed calling webhook"), BackendUnavailable, "failed calling webhook"),
        (500, b"<html>oops</html>", BackendUnavailable, "answered 500 without a word"),
        (502, b"", BackendUnavailable, "502"),
        (503, status(503, "ServiceUnavailable"), BackendUnavailable, "own words"),
        (504, status(504, "Timeout"), BackendUnavailable, "own words"),
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


async def test_429_is_tried_again_as_told_and_then_told(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """Contract §1: 429 … with `Retry-After`; the API server's priority and fairness sends it to whoever may go on."""
    refusals = 2

    async def answer(peer: Any) -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            await peer.answer(status(429), "429 Too Many Requests", extra="Retry-After: 0\r\n")
        else:
            await peer.answer({"fine": True})

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url))
    assert await cluster.request("PATCH", "/x", body={"a": 1}) == {"fine": True}
    assert [request.body for request in server.requests] == [b'{"a":1}'] * 3
    refusals = 1000
    server.requests.clear()
    with pytest.raises(Overloaded):
        await cluster.request("GET", "/x")
    assert 1 < len(server.requests) < 10, "a bounded number of times"


async def test_a_429_that_says_to_wait_too_long_is_told_at_once(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """Nobody waits for longer than the call may take; who asked is told how long."""

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


async def hangs_half_way(peer: Any) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    await asyncio.Event().wait()


async def resets(peer: Any) -> None:
    peer.reset()


async def closes(peer: Any) -> None:
    peer.writer.close()


async def breaks_off(peer: Any) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    peer.writer.close()


async def speaks_no_http(peer: Any) -> None:
    await peer.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    peer.writer.close()


async def repeats_what_no_header_may_hold(peer: Any) -> None:
    await peer.send(f"HTTP/1.1 200 OK\r\nX-Yours: {peer.request.headers['authorization']}\0\r\n\r\n".encode())
    peer.writer.close()


async def errs_for_ever(peer: Any) -> None:
    await peer.send(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


@pytest.mark.parametrize(
    "behaviour",
    [
        hangs,
        hangs_half_way,
        resets,
        closes,
        breaks_off,
        speaks_no_http,
        repeats_what_no_header_may_hold,
        errs_for_ever,
    ],
)
async def test_whatever_breaks_is_a_backend_that_is_unavailable(
    serve: Any, kubeconfig: Write, open_kube: Any, behaviour: Any
) -> None:
    """Contract §5: a backend without its cluster is 503 `backend_unavailable`; every call is bounded in time."""
    server = await serve(behaviour)
    cluster = await open_kube(kubeconfig(server.url, user=USER), timeout=0.3)
    for method in ("GET", "PATCH"):
        with pytest.raises(BackendUnavailable) as caught:
            await cluster.request(method, "/x")
        assert SECRET not in str(caught.value)

    async def closed() -> bool:
        return bool(server.open == 0)

    await eventually(closed)


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_over_the_bound_is_not_read(
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


async def test_no_more_requests_are_under_way_than_the_setting_says(
    serve: Any, kubeconfig: Write, open_kube: Any
) -> None:
    """The setting `max_concurrent`; connections are kept and used again."""
    under_way, most = 0, 0

    async def answer(peer: Any) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        await peer.answer({})

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url), max_concurrent=3)
    await asyncio.gather(*(cluster.request("GET", f"/{n}") for n in range(40)))
    assert (most, len(server.requests)) == (3, 40)
    assert server.open == 3


async def test_who_gets_no_turn_in_time_is_told_so(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """Every call is bounded in time, the waiting for a turn among it."""
    asked = asyncio.Event()

    async def answer(peer: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    cluster = await open_kube(kubeconfig((await serve(answer)).url), max_concurrent=1)
    first = asyncio.ensure_future(cluster.request("GET", "/x", timeout=60))
    await asked.wait()
    with pytest.raises(Overloaded, match=r"no turn .* within 0\.2 s"):
        await cluster.request("GET", "/x", timeout=0.2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_cancel_in_mid_call_leaves_nothing_behind(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """The port: whoever cancels a call leaves nothing of it running; the turn is free again."""
    asked = asyncio.Event()

    async def answer(peer: Any) -> None:
        if "hang" in peer.request.line:
            asked.set()
            await asyncio.Event().wait()
        await peer.answer({})

    server = await serve(answer)
    cluster = await open_kube(kubeconfig(server.url), max_concurrent=1)
    before = asyncio.all_tasks()
    call = asyncio.ensure_future(cluster.request("GET", "/hang"))
    await asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    async def closed() -> bool:
        return bool(server.open == 0)

    await eventually(closed)
    assert await cluster.request("GET", "/x") == {}
    gc.collect()
    mine = [each for each in asyncio.all_tasks() - before if "candy" in repr(each.get_coro())]
    assert mine == []


async def test_no_error_log_or_repr_holds_the_credential(serve: Any, kubeconfig: Write, open_kube: Any) -> None:
    """House of the contract, §1: no body carries a secret. Some proxies repeat what they were sent, to help."""

    async def repeats(peer: Any) -> None:
        said = json.dumps(dict(peer.request.headers))
        code = int(peer.request.line.split()[1].strip("/"))
        assert SECRET in said
        await peer.answer(status(code, message=said, causes=[{"field": "a", "message": said}]), f"{code} No")

    with structlog.testing.capture_logs() as logs:
        cluster = await open_kube(kubeconfig((await serve(repeats)).url, user=USER))
        for code in (400, 401, 403, 404, 409, 410, 422, 500, 503):
            with pytest.raises(CandyError) as caught:
                await cluster.request("GET", f"/{code}")
            assert SECRET not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
        connection = await cluster._session.connections.current()
    assert SECRET in connection.authorization
    shown = [repr(each) for each in (connection, cluster, vars(cluster), vars(cluster._session.connections), logs)]
    assert [each for each in shown if SECRET in each] == []


async def test_a_request_is_json_with_the_agents_name_and_its_query(
    serve: Any, kubeconfig: Write, open_kube: Any
) -> None:
    """And a base path of the server's address is kept, as some gateways have it."""

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


async def test_pages_follow_the_token_and_shrink_where_they_are_too_large(
    serve: Any, kubeconfig: Write, open_kube: Any
) -> None:
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


async def test_a_list_goes_on_in_newer_data_where_its_token_is_over(
    serve: Any, kubeconfig: Write, open_kube: Any
) -> None:
    """Kubernetes API concepts: with 410 comes a token to go on with; without one the list has to be begun anew."""
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
