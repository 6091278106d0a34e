"""How the agent starts, stops, and lives with what is wrong around it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp

from candy_server.server import CandyServer
from candy_testbed import AgentProcess, busy_seconds, eventually
from candy_testbed.running_agent import KEY, StartAgent

from .test_hostile_prometheus import hostile

__all__ = ["hostile"]


def task_that_hangs(task_id: str, **more: Any) -> dict[str, Any]:
    """A task whose item gets no answer."""
    return {"task_id": task_id, "items": [{"id": 1, "type": "prometheus", "params": {"query": "up"}}], **more}


async def test_sigterm_drains_reports_and_exits_with_zero(
    start_agent: StartAgent, hostile: str, candy_server: CandyServer
) -> None:
    """Contract §6: "/ready 503, no new tasks, running ones get CANDY_SHUTDOWN_GRACE …, the rest canceled, callbacks
    flushed, exit 0"."""
    async with start_agent(
        CANDY_PROMETHEUS_URL=f"{hostile}/hang",
        CANDY_SERVER_URL=candy_server.url,
        CANDY_SERVER_API_KEY=candy_server.key,
        CANDY_SHUTDOWN_GRACE="1.5",
    ) as agent:
        await agent.post("/api/v1/task", task_that_hangs("held"))
        await agent.until_running("held")
        os.kill(agent.process.pid, signal.SIGTERM)

        async def draining() -> bool:
            async with agent.http.get("/ready") as answer:
                return answer.status == 503

        await eventually(draining)
        status, problem = await agent.post("/api/v1/task", task_that_hangs("late"))
        assert (status, problem["code"]) == (503, "draining")
        assert (await agent.get("/health"))["status"] == "running"
        body = (await candy_server.callback("held")).body
        assert (body["task_id"], body["status"]) == ("held", "canceled")
        assert body["results"][0]["reason"] == "canceled"
        with busy_seconds() as passed:
            await asyncio.to_thread(agent.process.stop)
            assert passed() < 10
    assert agent.process.exit_code == 0


async def test_a_kill_loses_no_callback_that_was_spooled(
    start_agent: StartAgent, prometheus: str, candy_server: CandyServer, tmp_path: Path
) -> None:
    """Contract §7: "a folder in which undelivered callbacks outlive the process"."""
    env = {
        "CANDY_PROMETHEUS_URL": prometheus,
        "CANDY_SERVER_URL": candy_server.url,
        "CANDY_SERVER_API_KEY": candy_server.key,
        "CANDY_SPOOL_DIR": str(tmp_path),
    }
    candy_server.fail("callbacks", 500, times=1000)
    async with start_agent(**env) as agent:
        for index in range(3):
            document = await agent.run({**task_that_hangs(f"t{index}"), "timeout": 20})
            assert document["status"] == "completed"
        agent.process.kill()
    assert not [received for received in candy_server.inbox.callbacks if received.accepted]
    candy_server.fail("callbacks", 500, times=0)
    async with start_agent(**env):
        inbox = candy_server.inbox
        await eventually(lambda: len({each.task_id for each in inbox.callbacks if each.accepted}) == 3)


async def test_without_candy_server_the_agent_works_and_says_so(start_agent: StartAgent, prometheus: str) -> None:
    """Contract §7: "unset: no heartbeat and no callback, and /ready says so"."""
    async with start_agent(CANDY_PROMETHEUS_URL=prometheus) as agent:
        ready = await agent.get("/ready")
        assert ready["status"] == "ready"
        assert ready["checks"]["server"] == "not configured"
        assert (await agent.run(task_that_hangs("t")))["status"] == "completed"
        log = await agent.get("/api/v1/tasks/t/logs")
        assert not [entry for entry in log["entries"] if entry["event"].startswith("callback")]


async def test_a_candy_server_that_is_not_there_never_stops_the_agent(
    start_agent: StartAgent, prometheus: str, unused_tcp_port: int
) -> None:
    """Contract §4: "A missing Candy-Server never stops the agent"."""
    async with start_agent(
        CANDY_PROMETHEUS_URL=prometheus, CANDY_SERVER_URL=f"http://127.0.0.1:{unused_tcp_port}"
    ) as agent:
        assert (await agent.run(task_that_hangs("t")))["status"] == "completed"
        async with agent.http.get("/metrics") as answer:
            metrics = await answer.text()
        assert 'candy_deliveries{state="waiting"} 1.0' in metrics


async def test_the_limits_change_at_run_time(start_agent: StartAgent) -> None:
    """Contract §6: "flat object of what may change at run time …; all or nothing, applied at once"."""
    async with start_agent() as agent:
        before = await agent.get("/api/v1/config")
        status, problem = await agent.post("/api/v1/config", {"max_concurrent": 7, "log_levle": "DEBUG"})
        assert (status, problem["code"]) == (422, "invalid")
        assert await agent.get("/api/v1/config") == before
        status, after = await agent.post("/api/v1/config", {"max_concurrent": 7, "log_level": "DEBUG"})
        assert (status, after["max_concurrent"], after["log_level"]) == (200, 7, "DEBUG")


async def test_nothing_secret_is_ever_logged(
    start_agent: StartAgent, prometheus: str, candy_server: CandyServer, tmp_path: Path
) -> None:
    """Every way that a secret comes in, and what was written of it."""
    secrets = ["hunter2-callback", "hunter2-bearer", "hunter2-header", KEY, candy_server.key]
    async with start_agent(
        CANDY_PROMETHEUS_URL=prometheus,
        CANDY_PROMETHEUS_BEARER_TOKEN="hunter2-bearer",
        CANDY_SERVER_URL=candy_server.url,
        CANDY_SERVER_API_KEY=candy_server.key,
        CANDY_CALLBACK_SECRET="hunter2-callback",
        CANDY_CALLBACK_ALLOWED_HOSTS="127.0.0.1",
        LOG_LEVEL="DEBUG",
    ) as agent:
        callback = {"url": f"{candy_server.url}/elsewhere", "headers": {"X-Token": "hunter2-header"}}
        await agent.run({**task_that_hangs("t"), "callback": callback})
        async with (
            aiohttp.ClientSession(agent.process.url) as stranger,
            stranger.get("/api/v1/tasks", headers={"X-API-Key": "hunter2-wrong"}) as answer,
        ):
            assert answer.status == 401
        answers = [
            await agent.get(path)
            for path in ("/api/v1/config", "/api/v1/plugins", "/ready", "/api/v1/tasks/t/logs", "/api/v1/results/t")
        ]
        beat = await agent.post("/api/v1/heartbeat/agent-001", {})
        log = json.dumps(agent.log())
        for secret in [*secrets, "hunter2-wrong"]:
            assert secret not in log
            assert secret not in json.dumps([answers, beat])


async def test_two_agents_cannot_listen_on_one_address(start_agent: StartAgent) -> None:
    async with start_agent() as agent:
        refused = await asyncio.create_subprocess_exec(
            AgentProcess.program,
            "serve",
            env={"CANDY_LISTEN": agent.process.address, "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, stderr = await refused.communicate()
        assert refused.returncode == 2
        assert stderr.decode().count("\n") == 1
        assert "CANDY_LISTEN" in stderr.decode()


async def test_nothing_is_said_of_a_candy_server_before_it_has_answered_or_failed(start_agent: StartAgent) -> None:
    """Contract §6: `checks` tells each one's state; one that hangs is not "ok" because it has not failed yet."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        async with start_agent(CANDY_SERVER_URL=f"http://127.0.0.1:{silent.getsockname()[1]}") as agent:
            ready = await agent.get("/ready")
            assert ready["status"] == "ready", "a missing Candy-Server never stops the agent"
            assert ready["checks"]["server"] == "unknown"
            assert "heartbeat" in ready["reasons"]["server"]
