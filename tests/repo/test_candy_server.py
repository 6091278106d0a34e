"""The stand-in for Candy-Server must be right itself, or what it accepts proves nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import aiohttp
import pytest
from aiohttp import web

from candy_server import CandyServer, Signature, sign, verify

BODY = json.dumps({"task_id": "t-1", "status": "completed", "message": "节点"}).encode()


def headers(secret: str, *, timestamp: str | None = None, key: str = "k-1") -> dict[str, str]:
    at = timestamp or str(int(time.time()))
    return {
        "X-API-Key": secret,
        "Idempotency-Key": key,
        "X-Candy-Event": "ended",
        "X-Candy-Timestamp": at,
        "X-Candy-Signature": sign(secret, at, BODY),
    }


@pytest.mark.parametrize(
    ("timestamp", "signature", "found"),
    [
        ("1000", sign("s", "1000", b"x"), Signature.VERIFIED),
        ("1000", sign("other", "1000", b"x"), Signature.WRONG),
        ("1001", sign("s", "1000", b"x"), Signature.WRONG),
        ("600", sign("s", "600", b"x"), Signature.STALE),
        ("soon", sign("s", "soon", b"x"), Signature.WRONG),
        ("1000", "sha256=é", Signature.WRONG),
        (None, sign("s", "1000", b"x"), Signature.MISSING),
        ("1000", None, Signature.MISSING),
    ],
)
def test_a_signature_is_judged(timestamp: str | None, signature: str | None, found: Signature) -> None:
    """Contract §4: 'A receiver refuses timestamps over 5 minutes old.'"""
    assert verify("s", timestamp=timestamp, signature=signature, body=b"x", now=1000.0) is found


async def test_a_signed_callback_is_accepted_and_its_duplicate_told(candy_server: CandyServer) -> None:
    async with aiohttp.ClientSession(candy_server.url) as client:
        for duplicate in (False, True):
            async with client.post("/api/v1/results/t-1", data=BODY, headers=headers(candy_server.key)) as answer:
                assert answer.status == 200
                assert (await answer.json())["duplicate"] is duplicate
        async with client.get("/received/callbacks", params={"task_id": "t-1"}) as answer:
            received = (await answer.json())["callbacks"]
    assert [entry["signature"] for entry in received] == ["verified", "verified"]
    assert received[0]["body"]["message"] == "节点"


async def test_a_callback_without_key_or_signature_is_refused(candy_server: CandyServer) -> None:
    async with aiohttp.ClientSession(candy_server.url) as client:
        wrong = [
            headers("another"),
            headers(candy_server.key) | {"X-Candy-Signature": "sha256=00"},
            headers(candy_server.key, timestamp=str(int(time.time()) - 301)),
        ]
        for bad in wrong:
            async with client.post("/api/v1/results/t-1", data=BODY, headers=bad) as answer:
                assert answer.status == 401
    with pytest.raises(TimeoutError, match="no callback of task t-1"):
        await candy_server.callback("t-1", timeout=0.1)


async def test_failures_come_as_ordered(candy_server: CandyServer) -> None:
    async with aiohttp.ClientSession(candy_server.url) as client:
        order = {"what": "callbacks", "status": 503, "times": 1, "retry_after": 2}
        await client.post("/failures", json=order)
        async with client.post("/api/v1/results/t-1", data=BODY, headers=headers(candy_server.key)) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        async with client.post("/api/v1/results/t-1", data=BODY, headers=headers(candy_server.key)) as answer:
            assert answer.status == 200
    assert not (await candy_server.callback("t-1")).duplicate


async def test_a_task_is_handed_to_the_agent_that_the_heartbeat_named(candy_server: CandyServer) -> None:
    taken: list[tuple[str, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append((request.headers["X-API-Key"], await request.read()))
        return web.json_response({"task_id": "t-1", "status": "pending"}, status=202)

    app = web.Application()
    app.router.add_post("/api/v1/task", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        beat = {
            "agent_endpoint": f"http://127.0.0.1:{runner.addresses[0][1]}",
            "api_key": "its own",
            "status": "running",
        }
        async with aiohttp.ClientSession(candy_server.url, headers={"X-API-Key": candy_server.key}) as client:
            await client.put("/agents/a-1/config", json={"log_level": "DEBUG"})
            async with client.post("/api/v1/heartbeat/a-1", json=beat) as answer:
                assert await answer.json() == {"config": {"log_level": "DEBUG"}}
            async with client.post("/agents/a-1/tasks", data=b'{"items":[]}') as answer:
                assert answer.status == 202
            async with client.get("/received/heartbeats") as answer:
                assert "its own" not in await answer.text()
    finally:
        await runner.cleanup()
    assert taken == [("its own", b'{"items":[]}')]


async def test_it_runs_as_a_program() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "candy_server", "--listen", "127.0.0.1:0", "--key", "k", stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        line = (await asyncio.wait_for(child.stdout.readline(), 20)).decode()
        url = line.split()[2].rstrip(";")
        async with aiohttp.ClientSession() as client, client.get(f"{url}/agents") as answer:
            assert await answer.json() == {"agents": []}
    finally:
        child.terminate()
        await child.wait()
