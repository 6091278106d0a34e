"""The memory that large answers take: measured in a separate process, by the kernel's high-water mark."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).with_name("large_answer_client.py")
LIMIT_MB = 400
HEAD = b'{"status":"success","data":{"resultType":"vector","result":['
TAIL = b"]}}"


def pieces(count: int, pad: str) -> Iterator[bytes]:
    """``count`` series of distinct nodes."""
    yield HEAD
    for start in range(0, count, 1000):
        yield b",".join(
            b'{"metric":{"__name__":"m","instance":"node-%07d","job":"%s"},"value":[1700000000.123,"%d.5"]}'
            % (number, pad.encode(), number)
            for number in range(start, min(start + 1000, count))
        )
        yield b"," if start + 1000 < count else TAIL


def chunked(make: Callable[[], Iterator[bytes]]) -> Any:
    async def behave(peer: Any) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in make():
            await peer.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await peer.send(b"0\r\n\r\n")

    return behave


async def cost(url: str, count: int = 1, **params: str) -> dict[str, Any]:
    client = await asyncio.create_subprocess_exec(
        sys.executable, CLIENT, url, str(count), json.dumps({"query": "m", **params}), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await client.communicate()
    assert client.returncode == 0
    found: dict[str, Any] = json.loads(output)
    return found


async def test_two_hundred_thousand_series_within_the_limit_are_judged_below_400_mb(serve: Any) -> None:
    """Contract section 7: "32 MiB a backend's answer (200 000 series fit) … the process stays below 400 MB"."""
    assert 31 * 1024**2 < sum(len(piece) for piece in pieces(200_000, "x" * 67)) < 32 * 1024**2
    server = await serve(chunked(lambda: pieces(200_000, "x" * 67)))
    found = await cost(server.url, threshold="10")
    assert found["outcomes"] == [["warning", "threshold_exceeded", 200_000]]
    assert found["details"] < 10_000
    assert found["peak_mb"] < LIMIT_MB
    assert found["lag"] < 1


async def test_several_large_answers_at_once_stay_below_400_mb(serve: Any) -> None:
    server = await serve(chunked(lambda: pieces(100_000, "x" * 67)))
    found = await cost(server.url, 8, threshold="10")
    assert found["outcomes"] == [["warning", "threshold_exceeded", 100_000]] * 8
    assert found["peak_mb"] < LIMIT_MB


async def test_a_million_series_are_cut_off_at_the_limit(serve: Any) -> None:
    server = await serve(chunked(lambda: pieces(1_000_000, "x" * 120)))
    found = await cost(server.url, threshold="10")
    assert found["outcomes"] == [["failed", "too_large", None]]
    assert found["peak_mb"] < LIMIT_MB / 2


async def test_a_gigabyte_is_cut_off_at_the_limit_in_every_item_at_once(serve: Any) -> None:
    server = await serve(chunked(lambda: iter([b" " * 1_000_000] * 1000)))
    found = await cost(server.url, 8)
    assert found["outcomes"] == [["failed", "too_large", None]] * 8
    assert found["peak_mb"] < LIMIT_MB / 2


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (b'{"metric":{},"value":[0,"1"]}', "threshold_exceeded"),
        (b'{"metric":{"instance":"\\u00e9"},"value":[0,"1"],"x":[]}', "threshold_exceeded"),
        (b"0", "bad_response"),
        (b"{}", "bad_response"),
        (b"[]", "bad_response"),
    ],
)
async def test_the_smallest_series_take_no_more(serve: Any, entry: bytes, reason: str) -> None:
    count = (32 * 1024**2 - 100) // (len(entry) + 1)
    body = HEAD + b",".join([entry] * count) + TAIL
    server = await serve(lambda peer: peer.answer(body))
    found = await cost(server.url, threshold="0")
    assert found["outcomes"][0][1] == reason
    assert found["peak_mb"] < LIMIT_MB


MATRIX = b'{"status":"success","data":{"resultType":"matrix","result":['


@pytest.mark.parametrize(
    ("head", "entry", "tail", "reason"),
    [
        (MATRIX, b'{"metric":{},"values":[[1,"1"]]}', TAIL, "threshold_exceeded"),
        (MATRIX, b'{"metric":{},"values":[]}', TAIL, "bad_response"),
        (b'{"status":"success","warnings":[', b'"a"', b"]," + HEAD[20:] + TAIL, "partial_response"),
    ],
    ids=["tracks", "tracks-without-points", "warnings"],
)
async def test_the_smallest_of_other_entries_take_no_more(
    serve: Any, head: bytes, entry: bytes, tail: bytes, reason: str
) -> None:
    """Contract section 7: "32 MiB a backend's answer …: the process stays below 400 MB", whatever it holds."""
    count = (32 * 1024**2 - len(head + tail)) // (len(entry) + 1)
    server = await serve(lambda peer: peer.answer(head + b",".join([entry] * count) + tail))
    found = await cost(server.url, threshold="0")
    assert found["outcomes"][0][1] == reason
    assert found["peak_mb"] < LIMIT_MB
