"""Routes about the agent itself (contract sections 4 and 6)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from candy_core import __version__
from candy_testbed import eventually
from tests.testing.rule_backend.installed import installed
from tests.web.conftest import Client, Opened, item


async def test_health_is_ok_while_the_process_runs(client: Client) -> None:
    """Contract §6: '200 {"status":"running","version","uptime"} while the process lives'."""
    answer = await client.request("GET", "/health", key=None)
    assert answer.body == {"status": "running", "version": __version__, "uptime": answer.body["uptime"]}
    assert isinstance(answer.body["uptime"], int)


async def test_ready_without_candy_server_says_so_and_is_200(client: Client) -> None:
    """Contract §7: 'CANDY_SERVER_URL | Candy-Server; unset: no heartbeat and no callback, and /ready says so'."""
    answer = await client.request("GET", "/ready", key=None)
    assert answer.status == 200
    assert set(answer.body) == {"status", "version", "uptime", "checks"}
    assert answer.body["checks"]["server"] == "not configured"
    assert answer.body["checks"]["plugin:web_nap"] == "ok"
    assert answer.body["checks"]["execution"] == "ok"
    assert "checks" not in answer.body["checks"]  # the old name of the key
    with_key = await client.request("GET", "/ready")
    assert "CANDY_SERVER_URL" in with_key.body["reasons"]["server"]


async def test_ready_is_503_with_a_required_plugin_down_and_gives_reasons_only_with_a_key(agent_with: Opened) -> None:
    """Contract §6: '503 while … a required plugin down …; reasons only with a key'."""
    async with agent_with(CANDY_PLUGINS_REQUIRED="web_nap", CANDY_WEB_NAP_BROKEN="true") as client:
        answer = await client.request("GET", "/ready", key=None)
        assert answer.status == 503
        assert answer.body["status"] == "error"
        assert answer.body["checks"]["plugin:web_nap"] == "failed"
        assert "no bed" not in answer.text
        assert "no bed is free" in (await client.request("GET", "/ready")).body["reasons"]["plugin:web_nap"]
        assert "no bed" not in (await client.request("GET", "/ready", key="wrong")).text
        assert (await client.request("GET", "/health", key=None)).status == 200


async def test_ready_is_503_while_the_task_store_fails(agent_with: Opened, tmp_path: Path) -> None:
    """Contract §6: '503 while … checks stopped … `execution` | whether items are being run: `ok`, `stopped`'."""
    with installed(tmp_path, failing="tests.web.failing_store"):
        async with agent_with(CANDY_TASK_STORE="failing") as client:

            async def refusal() -> Any:
                answer = await client.request("GET", "/ready")
                return None if answer.status == 200 else answer

            answer = await eventually(refusal)
            assert (answer.status, answer.body["status"]) == (503, "error")
            assert answer.body["checks"]["execution"] == "stopped"
            assert answer.body["reasons"]["execution"] == "the task store fails: OSError"
            assert "checks" not in answer.body["checks"]


async def test_a_draining_agent_is_not_ready_and_accepts_no_tasks(client: Client) -> None:
    """Contract §6: 'SIGTERM: /ready 503, no new tasks'; §1: '503 draining … with Retry-After'."""
    await client.request("POST", "/api/v1/task", json={"task_id": "long", "items": [item(1, seconds=600)]})
    draining = asyncio.ensure_future(client.agent.services.engine.drain(0.3))
    await eventually(lambda: client.agent.services.engine.draining)
    answer = await client.request("GET", "/ready", key=None)
    assert (answer.status, answer.body["status"]) == (503, "draining")
    rejected = await client.rejected(503, "draining", "POST", "/api/v1/task", json={"items": [item()]})
    assert int(rejected.headers["Retry-After"]) >= 1
    await draining
    assert (await client.wait_ended("long"))["status"] == "canceled"


async def test_plugins_are_listed_with_their_states(agent_with: Opened) -> None:
    """Contract §6: '{"plugins":[{"name","distribution","version","state":"active|failed|blocked",…}]}'."""
    async with agent_with(CANDY_PLUGINS_BLOCKED="prometheus") as client:
        plugins = {
            plugin["name"]: plugin for plugin in (await client.request("GET", "/api/v1/plugins")).body["plugins"]
        }
    assert plugins["web_nap"] == {
        "name": "web_nap",
        "distribution": "candy-web-nap",
        "version": "1.0",
        "state": "active",
        "provides": ["executor:nap", "executor:order"],
        "error": None,
    }
    assert plugins.get("prometheus", {"state": "blocked"})["state"] == "blocked"


async def test_settings_change_all_or_nothing(client: Client) -> None:
    """Contract §6: 'flat object …; all or nothing, applied at once, not kept; answers the effective values'."""
    before = (await client.request("GET", "/api/v1/config")).body
    assert {"heartbeat_interval", "log_level"} <= set(before)
    wrong = {"heartbeat_interval": 5, "log_level": "loud", "colour": 1}
    answer = await client.rejected(422, "invalid", "POST", "/api/v1/config", json=wrong)
    assert {problem["path"] for problem in answer.body["errors"]} == {"$.log_level", "$.colour"}
    assert (await client.request("GET", "/api/v1/config")).body == before
    changed = await client.request("POST", "/api/v1/config", json={"heartbeat_interval": 5})
    assert changed.status == 200
    assert changed.body == before | {"heartbeat_interval": 5}
    assert (await client.request("GET", "/api/v1/config")).body == changed.body
    await client.rejected(422, "invalid", "POST", "/api/v1/config", json=[])
    await client.rejected(422, "invalid", "POST", "/api/v1/config?x=1", json={})


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, list[Any]]]:
    """A Candy-Server on loopback, and the heartbeats that it has received."""
    received: list[Any] = []

    async def receive(request: web.Request) -> web.Response:
        received.append(await request.json())
        return web.json_response({})

    application = web.Application()
    application.router.add_post("/api/v1/heartbeat/{agent_id}", receive)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", received
    await runner.cleanup()


async def test_a_heartbeat_is_sent_on_demand_and_returned_with_its_key_masked(
    agent_with: Opened, server: tuple[str, list[Any]]
) -> None:
    """Contract §4: 'POST /api/v1/heartbeat/{agent_id} on the agent sends one now and returns it, key masked'."""
    url, received = server
    async with agent_with(CANDY_SERVER_URL=url, CANDY_API_KEY=None) as client:
        generated = client.agent.services.keys.generated
        assert generated is not None
        answer = await client.request("POST", "/api/v1/heartbeat/web-1", key=generated.reveal())
        assert answer.status == 200
        assert answer.body["agent_id"] == "web-1"
        assert answer.body["api_key"] == "******"
        sent = next(heartbeat for heartbeat in received if heartbeat["sequence"] == answer.body["sequence"])
        assert sent["api_key"] == generated.reveal()
        assert sent | {"api_key": "******"} == answer.body
        await client.rejected(404, "not_found", "POST", "/api/v1/heartbeat/other", key=generated.reveal())


async def test_a_heartbeat_without_a_server_is_503(client: Client) -> None:
    """Contract §1: '503 | … backend_unavailable … with Retry-After'."""
    answer = await client.rejected(503, "backend_unavailable", "POST", "/api/v1/heartbeat/web-1")
    assert "CANDY_SERVER_URL" in answer.body["detail"]
    assert int(answer.headers["Retry-After"]) >= 1


async def test_metrics_cover_tasks_deliveries_and_plugins(client: Client) -> None:
    """Contract §6: 'all named candy_…, at least: tasks, items by type and status, queue, durations, deliveries, …'."""
    task = (await client.request("POST", "/api/v1/task", json={"items": [item()]})).body["task_id"]
    await client.wait_ended(task)
    answer = await client.request("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    names = set(re.findall(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)", answer.text, re.MULTILINE))
    assert names
    assert all(name.startswith("candy_") for name in names)
    for line in (
        "candy_tasks_submitted_total 1.0",
        "candy_tasks_pending 0.0",
        "candy_queue_capacity 1000.0",
        'candy_items_total{status="normal",type="nap"} 1.0',
        'candy_deliveries{state="received"} 0.0',
        'candy_plugin_state{plugin="web_nap",state="active"} 1.0',
        'candy_plugin_state{plugin="web_nap",state="failed"} 0.0',
        f'candy_build_info{{version="{__version__}"}} 1.0',
        'candy_http_requests_total{route="/api/v1/task",status="202"} 1.0',
    ):
        assert line in answer.text.splitlines(), line
