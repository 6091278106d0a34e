"""Hostile and broken servers: every item still gets one correct outcome."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from candy_core import ItemStatus, Outcome, Reason
from candy_core.testing.context import plugin_context
from candy_testbed import task_run

SERIES = {"metric": {"instance": "a"}, "value": [1, "1"]}
OK = {"status": "success", "data": {"resultType": "vector", "result": [SERIES]}}


def error(kind: str, text: str = "the server's own words") -> dict[str, str]:
    return {"status": "error", "errorType": kind, "error": text}


def result(kind: str, value: object, **more: object) -> dict[str, object]:
    return {"status": "success", "data": {"resultType": kind, "result": value}, **more}


def failed(outcome: Outcome, reason: Reason) -> Outcome:
    assert (outcome.status, outcome.reason, outcome.value) == (ItemStatus.FAILED, reason, ""), outcome
    assert outcome.message
    assert outcome.details.startswith("Query: up")
    return outcome


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        ("400 Bad Request", error("bad_data"), Reason.QUERY_REJECTED),
        ("422 Unprocessable Entity", error("execution"), Reason.QUERY_REJECTED),
        ("422 Unprocessable Entity", error("422"), Reason.QUERY_REJECTED),
        ("503 Service Unavailable", error("timeout"), Reason.TIMEOUT),
        ("503 Service Unavailable", error("canceled"), Reason.UNREACHABLE),
        ("503 Service Unavailable", error("unavailable"), Reason.UNREACHABLE),
        ("500 Internal Server Error", error("internal"), Reason.BAD_RESPONSE),
        ("200 OK", error("execution"), Reason.QUERY_REJECTED),
        ("500 Internal Server Error", "oops", Reason.BAD_RESPONSE),
        ("502 Bad Gateway", "<html>nginx</html>", Reason.UNREACHABLE),
        ("503 Service Unavailable", "<html>nginx</html>", Reason.UNREACHABLE),
        ("504 Gateway Timeout", "<html>nginx</html>", Reason.TIMEOUT),
        ("429 Too Many Requests", "slow down", Reason.UNREACHABLE),
        ("401 Unauthorized", "who are you", Reason.AUTH_FAILED),
        ("403 Forbidden", error("forbidden"), Reason.AUTH_FAILED),
        ("404 Not Found", "404 page not found", Reason.BAD_RESPONSE),
        ("204 No Content", "", Reason.BAD_RESPONSE),
        ("200 OK", "<html>Please log in</html>", Reason.BAD_RESPONSE),
        ("200 OK", "", Reason.BAD_RESPONSE),
        ("200 OK", json.dumps(OK)[:-3], Reason.BAD_RESPONSE),
        ("200 OK", json.dumps(OK) + "}", Reason.BAD_RESPONSE),
        ("200 OK", b"\xff\xfe", Reason.BAD_RESPONSE),
        ("200 OK", "[" * 200_000 + "]" * 200_000, Reason.BAD_RESPONSE),
        ("200 OK", '{"status":"success","data":' + "[" * 200_000 + "]" * 200_000 + "}", Reason.BAD_RESPONSE),
        ("200 OK", "null", Reason.BAD_RESPONSE),
        ("200 OK", [], Reason.BAD_RESPONSE),
        ("200 OK", {}, Reason.BAD_RESPONSE),
        ("200 OK", {"status": "success"}, Reason.BAD_RESPONSE),
        ("200 OK", {"status": "fine", "data": {}}, Reason.BAD_RESPONSE),
        ("200 OK", {"status": "success", "data": None}, Reason.BAD_RESPONSE),
        ("200 OK", {"status": "success", "data": {}}, Reason.BAD_RESPONSE),
        ("200 OK", result("cube", []), Reason.BAD_RESPONSE),
        ("200 OK", result("vector", {}), Reason.BAD_RESPONSE),
        ("200 OK", result("vector", [0, 0]), Reason.BAD_RESPONSE),
        ("200 OK", result("vector", [{"metric": {}}]), Reason.BAD_RESPONSE),
        ("200 OK", result("vector", [{"metric": {}, "value": [1]}]), Reason.BAD_RESPONSE),
        ("200 OK", result("vector", [{"metric": {}, "value": [1, 2]}]), Reason.BAD_RESPONSE),
        ("200 OK", result("vector", [{"metric": {}, "value": [1, "many"]}]), Reason.BAD_RESPONSE),
        ("200 OK", result("vector", [{"metric": {"a": 1}, "value": [1, "2"]}]), Reason.BAD_RESPONSE),
        ("200 OK", result("vector", [{"metric": {"a": "\ud800"}, "value": [1, "2"]}]), Reason.BAD_RESPONSE),
        ("200 OK", result("matrix", [{"metric": {}, "values": []}]), Reason.BAD_RESPONSE),
        ("200 OK", result("scalar", [1, "one"]), Reason.BAD_RESPONSE),
        ("200 OK", result("scalar", []), Reason.BAD_RESPONSE),
    ],
)
async def test_an_unusable_answer_fails_with_its_reason(
    serve: Any, run_items: Any, status: str, body: object, reason: Reason
) -> None:
    server = await serve(lambda peer: peer.answer(body, status=status))
    [outcome] = await run_items(server.url, {"query": "up", "threshold": "5"})
    failed(outcome, reason)
    if isinstance(body, dict) and "error" in body and reason is not Reason.AUTH_FAILED:
        assert "the server's own words" in outcome.message
        assert outcome.details == "Query: up\nError: the server's own words"


async def test_a_hang_is_a_timeout(serve: Any, run_items: Any) -> None:
    server = await serve(lambda peer: asyncio.Event().wait())
    [outcome] = await run_items({"url": server.url, "timeout": "0.2"}, "up")
    assert "0.2 s" in failed(outcome, Reason.TIMEOUT).message


async def test_the_items_own_deadline_applies_if_it_is_nearer(serve: Any, run_items: Any) -> None:
    server = await serve(lambda peer: asyncio.Event().wait())
    [outcome] = await run_items(server.url, "up", seconds=0.2)
    failed(outcome, Reason.TIMEOUT)


async def test_a_closed_port_is_unreachable(run_items: Any, unused_tcp_port: int) -> None:
    [outcome] = await run_items(f"http://127.0.0.1:{unused_tcp_port}", "up")
    assert "Connect call failed" in failed(outcome, Reason.UNREACHABLE).message or "refused" in outcome.message


async def test_an_unknown_host_name_is_unreachable(run_items: Any) -> None:
    [outcome] = await run_items("http://prometheus.invalid:9090", "up")
    failed(outcome, Reason.UNREACHABLE)


async def test_a_reset_instead_of_an_answer_is_unreachable(serve: Any, run_items: Any) -> None:
    async def reset(peer: Any) -> None:
        peer.reset()

    server = await serve(reset)
    [outcome] = await run_items(server.url, "up")
    failed(outcome, Reason.UNREACHABLE)


async def test_a_close_instead_of_an_answer_is_unreachable(serve: Any, run_items: Any) -> None:
    async def close(peer: Any) -> None:
        peer.writer.close()

    server = await serve(close)
    [outcome] = await run_items(server.url, "up")
    assert "closed the connection" in failed(outcome, Reason.UNREACHABLE).message


@pytest.mark.parametrize("framing", ["Content-Length: 10000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_connection_that_ends_in_mid_body_is_unreachable(
    serve: Any, run_items: Any, framing: str, how: str
) -> None:
    async def half(peer: Any) -> None:
        piece = json.dumps(OK).encode()[:40]
        chunk = piece if "Length" in framing else b"%x\r\n%s\r\n" % (len(piece), piece)
        await peer.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + chunk)
        await asyncio.sleep(0.05)  # so that the head and the first piece arrive
        if how == "reset":
            peer.reset()
        else:
            peer.writer.close()

    server = await serve(half)
    [outcome] = await run_items(server.url, "up")
    failed(outcome, Reason.UNREACHABLE)


async def test_a_length_that_is_too_short_fails_only_its_own_item(serve: Any, run_items: Any) -> None:
    whole = json.dumps(OK).encode()

    async def behave(peer: Any) -> None:
        if b"query=wrong" in peer.request.body:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + whole)
        else:
            await peer.answer(whole)

    server = await serve(behave)
    wrong, right = await run_items(server.url, "wrong", "up")
    assert (wrong.status, wrong.reason) == (ItemStatus.FAILED, Reason.BAD_RESPONSE)
    assert (right.status, right.value) == (ItemStatus.NORMAL, "1")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_http_fails(serve: Any, run_items: Any, answer: bytes) -> None:
    async def behave(peer: Any) -> None:
        await peer.send(answer)
        peer.writer.close()

    server = await serve(behave)
    [outcome] = await run_items(server.url, "up")
    assert outcome.reason in (Reason.BAD_RESPONSE, Reason.UNREACHABLE)
    failed(outcome, outcome.reason)


async def test_an_answer_that_announces_a_gigabyte_is_not_read(serve: Any, run_items: Any) -> None:
    sent = 0

    async def behave(peer: Any) -> None:
        nonlocal sent
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        while True:
            await peer.send(b" " * 65536)
            sent += 65536

    server = await serve(behave)
    [outcome] = await run_items(server.url, "up")
    assert "33554432 bytes" in failed(outcome, Reason.TOO_LARGE).message
    assert sent < 16 * 1024 * 1024


async def test_an_answer_that_never_ends_is_cut_off_at_the_limit(serve: Any, run_items: Any) -> None:
    sent = 0

    async def behave(peer: Any) -> None:
        nonlocal sent
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
            sent += 65536

    server = await serve(behave)
    [outcome] = await run_items(server.url, "up", limit=3_000_000)
    failed(outcome, Reason.TOO_LARGE)
    assert sent < 3_000_000 + 16 * 1024 * 1024, "reading went on past the limit"


async def test_an_answer_that_trickles_forever_is_a_timeout(serve: Any, run_items: Any) -> None:
    async def behave(peer: Any) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(b"1\r\n \r\n")
            await asyncio.sleep(0.01)

    server = await serve(behave)
    [outcome] = await run_items({"url": server.url, "timeout": 0.3}, "up")
    failed(outcome, Reason.TIMEOUT)


async def test_a_gzip_bomb_is_never_inflated(serve: Any, run_items: Any) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    server = await serve(lambda peer: peer.answer(bomb, extra="Content-Encoding: gzip\r\n"))
    [outcome] = await run_items(server.url, "up")
    failed(outcome, Reason.BAD_RESPONSE)
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_does_not_leak_the_key(serve: Any, run_items: Any, status: str) -> None:
    thief = await serve(lambda peer: peer.answer(OK))
    server = await serve(lambda peer: peer.answer("", status=status, extra=f"Location: {thief.url}/api/v1/query\r\n"))
    [outcome] = await run_items({"url": server.url, "bearer_token": "hush-hush"}, "up")
    failed(outcome, Reason.BAD_RESPONSE)
    assert server.requests[0].headers["authorization"] == "Bearer hush-hush"
    assert not thief.requests
    assert "hush" not in repr(outcome)


async def test_a_kept_connection_that_is_dead_does_not_fail_the_query(serve: Any, run_items: Any) -> None:
    async def once(peer: Any) -> None:
        await peer.answer(OK)  # without "Connection: close"
        peer.writer.close()

    server = await serve(once)
    assert [outcome.value for outcome in await run_items(server.url, *["up"] * 5)] == ["1"] * 5


async def test_one_connection_serves_many_queries(serve: Any, run_items: Any) -> None:
    server = await serve(lambda peer: peer.answer(OK))
    await run_items(server.url, *["up"] * 5)
    assert server.connections == 1
    assert len(server.requests) == 5


async def test_a_query_is_posted_as_a_form_at_the_tasks_instant(serve: Any, run_items: Any) -> None:
    """Contract section 2: "All metric queries of one task are evaluated at one instant"."""
    server = await serve(lambda peer: peer.answer(OK))
    await run_items(server.url + "/select/0/prometheus/", 'up{job="a b&c"} + 节点', time=1700000000.125)
    [request] = server.requests
    assert request.line == "POST /select/0/prometheus/api/v1/query HTTP/1.1"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body == (b"query=up%7Bjob%3D%22a+b%26c%22%7D+%2B+%E8%8A%82%E7%82%B9&time=1700000000.125&stats=all")


async def test_messages_name_only_the_datasource_and_its_host(run_items: Any, unused_tcp_port: int) -> None:
    settings = {
        "url": f"http://127.0.0.1:{unused_tcp_port}/secret-path",
        "username": "u",
        "password": "hush-hush",
        "headers": {"X-Scope-OrgID": "hush-tenant"},
    }
    [outcome] = await run_items(settings, "up")
    assert f"datasource default (127.0.0.1:{unused_tcp_port}) is unreachable" in outcome.message
    assert "hush" not in repr(outcome)
    assert "secret-path" not in repr(outcome)


@pytest.mark.parametrize("status", [200, 400, 401, 422, 500, 503])
@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 {status} No\r\nX-Yours: {sent}\0\r\n\r\n",  # not allowed in a header: it is not HTTP
        "HTTP/1.1 {status} {sent}\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 {status} No\r\nConnection: close\r\n\r\nyou sent {sent}",
        'HTTP/1.1 {status} No\r\nConnection: close\r\n\r\n{{"status":"error","errorType":"bad_data","error":"{sent}"}}',
    ],
    ids=["no HTTP", "reason", "text", "error"],
)
async def test_an_answer_that_repeats_the_credential_is_redacted(
    serve: Any, run_items: Any, answer: str, status: int
) -> None:
    """Contract section 1: "no 5xx body carries … a secret"; some proxies repeat the request's headers."""

    async def behave(peer: Any) -> None:
        await peer.send(answer.format(status=status, sent=peer.request.headers["authorization"]).encode())
        peer.writer.close()

    server = await serve(behave)
    [outcome] = await run_items({"url": server.url, "bearer_token": "hush-hush"}, "up")
    assert outcome.status is ItemStatus.FAILED
    assert "hush" not in repr(outcome)


async def test_many_items_at_once_each_get_their_own_outcome(serve: Any) -> None:
    from candy_core import Item, params_reader
    from candy_kit_promql import PROMETHEUS, MetricParams, MetricSettings, open_executor

    async def behave(peer: Any) -> None:
        number = int(peer.request.body.split(b"query=")[1].split(b"&")[0])
        if number % 3 == 0:
            peer.reset()
        elif number % 3 == 1:
            await peer.answer("<html>", status="500 Internal Server Error")
        else:
            await peer.answer(result("scalar", [1, str(number)]))

    server = await serve(behave)
    settings = params_reader.read({"url": server.url}, MetricSettings)

    async def one(executor: Any, number: int) -> tuple[int, Outcome]:
        item = Item(index=number, id=number, name="", params=MetricParams(query=str(number)))
        [answer] = [each async for each in executor.run_batch([item], task_run())]
        return answer  # type: ignore[no-any-return]  # the executor comes as Any

    async with open_executor(plugin_context("prometheus"), settings, PROMETHEUS) as executor:
        found = await asyncio.gather(*(one(executor, number) for number in range(90)))
    reasons = [Reason.UNREACHABLE, Reason.BAD_RESPONSE, Reason.OK]
    assert [(index, outcome.reason) for index, outcome in found] == [(n, reasons[n % 3]) for n in range(90)]
    assert all(outcome.value == str(index) for index, outcome in found if index % 3 == 2)
