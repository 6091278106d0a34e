"""The HTTP client of the core and its plugins: what it reads of an answer, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from candy_core import AnswerTooLarge, HttpClient
from candy_core.http_client import START_BYTES, http_client
from candy_testbed.scripted import Behaviour, Peer, Serve
from candy_testbed.scripted import serve as serve

LIMIT = 100_000
HEAD = b"HTTP/1.1 200 OK\r\n"


def announced(size: int) -> Behaviour:
    """Answers with ``size`` bytes and their Content-Length."""
    return lambda peer: peer.answer(b"x" * size)


def chunked(size: int) -> Behaviour:
    """Answers with ``size`` bytes in chunks of at most 1000."""

    async def behave(peer: Peer) -> None:
        await peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for start in range(0, size, 1000):
            piece = b"x" * min(1000, size - start)
            await peer.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await peer.send(b"0\r\n\r\n")

    return behave


def closing(size: int) -> Behaviour:
    """Answers with ``size`` bytes that end where the connection is closed."""

    async def behave(peer: Peer) -> None:
        await peer.send(HEAD + b"Connection: close\r\n\r\n" + b"x" * size)
        peer.writer.close()

    return behave


async def endless(peer: Peer) -> None:
    """Sends chunks for as long as the client is there."""
    await peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")


FRAMINGS = pytest.mark.parametrize("framing", [announced, chunked, closing])


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(limit=LIMIT) as opened:
        yield opened


@FRAMINGS
@pytest.mark.parametrize("size", [0, 1, LIMIT - 1, LIMIT])
async def test_an_answer_within_the_bound_is_read_whole(
    serve: Serve, client: HttpClient, framing: Callable[[int], Behaviour], size: int
) -> None:
    server = await serve(framing(size))
    async with client.request("GET", server.url) as response:
        assert await client.read(response) == b"x" * size


@FRAMINGS
@pytest.mark.parametrize("size", [LIMIT + 1, 10 * LIMIT])
async def test_a_longer_answer_is_too_large_and_its_connection_is_closed(
    serve: Serve, client: HttpClient, framing: Callable[[int], Behaviour], size: int
) -> None:
    server = await serve(framing(size))
    async with client.request("GET", server.url) as response:
        with pytest.raises(AnswerTooLarge) as raised:
            await client.read(response)
        assert response.closed
    assert raised.value.limit == LIMIT


async def test_an_endless_answer_is_too_large(serve: Serve, client: HttpClient) -> None:
    server = await serve(endless)
    async with client.request("GET", server.url) as response:
        with pytest.raises(AnswerTooLarge):
            await client.read(response)
        assert response.closed


async def test_an_answer_that_announces_too_much_is_not_read(serve: Serve, client: HttpClient) -> None:
    async def behave(peer: Peer) -> None:
        await peer.send(HEAD + b"Content-Length: 1000000000\r\n\r\n")
        await asyncio.Event().wait()

    server = await serve(behave)
    async with client.request("GET", server.url) as response:
        with pytest.raises(AnswerTooLarge):
            await client.read(response)


@pytest.mark.parametrize(("limit", "bound"), [(10, 10), (10 * LIMIT, LIMIT)])
async def test_a_limit_of_the_call_can_only_lower_the_bound(
    serve: Serve, client: HttpClient, limit: int, bound: int
) -> None:
    server = await serve(chunked(bound + 1))
    async with client.request("GET", server.url) as response:
        with pytest.raises(AnswerTooLarge) as raised:
            await client.read(response, limit)
    assert raised.value.limit == bound


async def test_before_each_further_piece_the_caller_gets_the_size_so_far(serve: Serve, client: HttpClient) -> None:
    proceed = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.send(HEAD + b"Content-Length: 8\r\n\r\nfirst")
        await proceed.wait()
        await peer.send(b"two")

    sizes: list[int] = []

    async def before_more(size: int) -> None:
        sizes.append(size)
        proceed.set()

    server = await serve(behave)
    async with client.request("GET", server.url) as response:
        assert await client.read(response, before_more=before_more) == b"firsttwo"
    assert sizes == [5]


@FRAMINGS
@pytest.mark.parametrize("size", [0, 1, START_BYTES - 1, START_BYTES, START_BYTES + 1, 10 * START_BYTES])
async def test_the_start_of_an_answer_is_read_whatever_follows(
    serve: Serve, client: HttpClient, framing: Callable[[int], Behaviour], size: int
) -> None:
    server = await serve(framing(size))
    async with client.request("GET", server.url) as response:
        assert await client.read_start(response) == b"x" * min(size, START_BYTES)


async def test_the_connection_of_a_start_is_closed_if_more_would_follow(serve: Serve, client: HttpClient) -> None:
    server = await serve(endless)
    async with client.request("GET", server.url) as response:
        assert await client.read_start(response, 10) == b"x" * 10
        assert response.closed


async def test_connections_are_kept_and_headers_are_the_agents(serve: Serve, client: HttpClient) -> None:
    server = await serve(announced(10))
    for _ in range(3):
        async with client.request("GET", server.url) as response:
            await client.read(response)
    assert server.connections == 1
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert server.requests[0].headers["user-agent"].startswith("candy-agent/")


async def test_an_idle_connection_is_kept_no_longer_than_asked_for(serve: Serve) -> None:
    server = await serve(announced(10))
    async with http_client(limit=LIMIT, keep_alive=0.01) as client:
        for _ in range(2):
            async with client.request("GET", server.url) as response:
                await client.read(response)
            await asyncio.sleep(0.05)
    assert server.connections == 2


async def test_a_redirect_is_not_followed(serve: Serve, client: HttpClient) -> None:
    other = await serve(announced(1))
    server = await serve(lambda peer: peer.answer(b"", status="302 Found", extra=f"Location: {other.url}\r\n"))
    async with client.request("GET", server.url) as response:
        assert response.status == 302
    assert not other.requests
