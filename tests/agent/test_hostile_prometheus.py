"""One task against a Prometheus that does everything wrong, beside one that is right."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from candy_testbed.running_agent import StartAgent

PEAK_MEGABYTES = 400
"""Contract §7: "at these the process stays below 400 MB"."""


def vector(values: list[str]) -> str:
    """An answer with one series for each value."""
    series = [{"metric": {"instance": f"n{index}"}, "value": [1, value]} for index, value in enumerate(values)]
    return answer({"resultType": "vector", "result": series})


def answer(data: object) -> str:
    """A successful answer of the query API."""
    return json.dumps({"status": "success", "data": data})


NODE = {"instance": "n"}
HISTOGRAM = {"count": "2", "sum": "3", "buckets": [[0, "1", "2", "2"]]}
BODIES = {
    "html": "<html>502</html>",
    "nan": vector(["NaN", "1"]),
    "inf": vector(["+Inf", "-Inf"]),
    "scalar": answer({"resultType": "scalar", "result": [1, "95.5"]}),
    "string": answer({"resultType": "string", "result": [1, "text"]}),
    "matrix": answer(
        {"resultType": "matrix", "result": [{"metric": {"instance": "n"}, "values": [[1, "2"], [2, "99"]]}]}
    ),
    "histogram": answer(
        {"resultType": "vector", "result": [{"metric": {"instance": "n"}, "histogram": [1, HISTOGRAM]}]}
    ),
    "warnings": json.dumps({**json.loads(vector(["1"])), "warnings": ["a store is out of reach"]}),
    "truncated": vector(["1"])[:-20],
    "junk": json.dumps({"status": "success", "data": {"resultType": "vector", "result": 5}}),
}
EXPECTED = {
    "hang": {"timeout"},
    "reset": {"unreachable"},
    "half": {"unreachable"},
    "500": {"bad_response", "unreachable"},
    "gigabyte": {"too_large"},
    "endless": {"too_large"},
    "million": {"too_large"},
    "html": {"bad_response"},
    "nan": {"not_a_number"},
    "inf": {"threshold_exceeded"},
    "scalar": {"threshold_exceeded"},
    "string": {"not_a_number"},
    "matrix": {"threshold_exceeded"},
    "histogram": {"not_a_number"},
    "warnings": {"partial_response"},
    "truncated": {"bad_response"},
    "junk": {"bad_response"},
}
ROW = b'{"metric":{"__name__":"up","instance":"node-%07d:9100","job":"node","zone":"somewhere"},"value":[1,"1"]},'


async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Do what the path's first word says, request after request."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), b":0")
            await reader.readexactly(int(length.split(b":")[1]))
            word = head.split(b" ")[1].split(b"/")[1].decode()
            if not await act(word, writer):
                break
    writer.close()


async def act(word: str, writer: asyncio.StreamWriter) -> bool:
    """Answer, or do not. Gives whether the connection may be used again."""
    begin = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    match word:
        case "hang":
            await asyncio.sleep(3600)
        case "reset":
            writer.transport.abort()
        case "half":
            writer.write(begin + b'Content-Length: 1000\r\n\r\n{"status":')
            await writer.drain()
            writer.transport.abort()
        case "500":
            writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops")
            await writer.drain()
            return True
        case "gigabyte":
            writer.write(begin + b"Content-Length: 1073741824\r\n\r\n")
            for _ in range(1024):
                writer.write(b" " * 1024 * 1024)
                await writer.drain()
        case "endless":
            writer.write(begin + b"Transfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
                await writer.drain()
        case "million":
            writer.write(begin + b"\r\n" + b'{"status":"success","data":{"resultType":"vector","result":[')
            for start in range(0, 1_000_000, 1000):
                writer.write(b"".join(ROW % number for number in range(start, start + 1000)))
                await writer.drain()
        case _:
            body = BODIES[word].encode()
            writer.write(begin + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            return True
    return False


@pytest.fixture
async def hostile() -> AsyncIterator[str]:
    """A server that does what the first word of the path says."""
    server = await asyncio.start_server(misbehave, "127.0.0.1", 0, limit=2**20)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def test_every_item_has_one_truthful_result_and_the_right_ones_are_not_delayed(
    start_agent: StartAgent, prometheus: str, hostile: str
) -> None:
    """Contract §2: exactly one result an item; §3: the reasons; §7: the bound on memory."""
    datasources = {word: {"url": f"{hostile}/{word}", "timeout": 120} for word in EXPECTED}
    async with start_agent(
        CANDY_PROMETHEUS_URL=prometheus, CANDY_PROMETHEUS_DATASOURCES=json.dumps(datasources)
    ) as agent:
        bad: list[dict[str, Any]] = [
            {"id": word, "type": "prometheus", "params": {"query": "up", "datasource": word, "threshold": "1.5"}}
            for word in EXPECTED
        ]
        bad[0]["timeout"] = 20  # of the one that hangs
        good = [
            {"id": f"good-{index}", "type": "prometheus", "params": {"query": f"up + {index}", "threshold": "100"}}
            for index in range(20)
        ]
        document = await agent.run({"items": [*bad, *good], "timeout": 300, "locale": "en"})
        results = {result["item_id"]: result for result in document["results"]}
        assert [result["item_id"] for result in document["results"]] == [*EXPECTED, *(entry["id"] for entry in good)]
        wrong = {
            word: (results[word]["reason"], results[word]["message"])
            for word, reasons in EXPECTED.items()
            if results[word]["reason"] not in reasons
        }
        assert not wrong
        for word in EXPECTED:
            assert results[word]["status"] != "normal", word
        assert hostile.removeprefix("http://") in results["reset"]["message"], "errors say where"
        assert {results[entry["id"]]["reason"] for entry in good} == {"ok"}
        slowest = max(results[entry["id"]]["duration"] for entry in good)
        assert slowest < results["hang"]["duration"], "the item that hangs delays nobody"
        assert agent.peak_megabytes() < PEAK_MEGABYTES


async def test_answers_at_the_limit_stay_below_the_bound_on_memory(start_agent: StartAgent, hostile: str) -> None:
    """Contract §7: "32 MiB a backend's answer (200 000 series fit) …: at these the process stays below 400 MB"."""
    BODIES["large"] = vector(["1"] * 200_000)
    async with start_agent(CANDY_PROMETHEUS_URL=f"{hostile}/large") as agent:
        items = [
            {"id": index, "type": "prometheus", "params": {"query": f"up + {index}", "threshold": "0.5"}}
            for index in range(8)
        ]
        document = await agent.run({"items": items})
        assert {result["reason"] for result in document["results"]} == {"threshold_exceeded"}
        assert {result["stats"]["exceeding"] for result in document["results"]} == {200_000}
        assert agent.peak_megabytes() < PEAK_MEGABYTES
