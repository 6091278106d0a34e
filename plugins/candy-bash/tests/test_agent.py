"""Commands through the whole agent: scopes, timeouts, cancels, shutdown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from candy_testbed import AgentProcess

ADMIN = "a-key-that-may-do-everything"
WRITER = "a-key-that-may-run-no-commands-of-its-own"


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """Start an agent with this plugin; gives the process and a client that holds the key of an administrator."""
    keys = tmp_path / "keys.yaml"
    scopes = ["tasks:read", "tasks:write"]
    keys.write_text(json.dumps([{"name": "writer", "key": WRITER, "scopes": scopes}]))

    @asynccontextmanager
    async def started(**env: str) -> AsyncIterator[tuple[AgentProcess, aiohttp.ClientSession]]:
        settings = {"CANDY_API_KEY": ADMIN, "CANDY_API_KEYS_FILE": str(keys), "CANDY_BASH_GRACE": "0.2", **env}
        async with (
            AgentProcess(env=settings) as process,
            aiohttp.ClientSession(process.url, headers={"X-API-Key": ADMIN}) as http,
        ):
            async with asyncio.timeout(10):
                while (await http.get("/ready")).status != 200:  # noqa: ASYNC110  # another process gets ready
                    await asyncio.sleep(0.02)
            yield process, http

    return started


async def post(http: aiohttp.ClientSession, task: dict[str, Any], key: str = ADMIN) -> str:
    async with http.post("/api/v1/task", json=task, headers={"X-API-Key": key}) as answer:
        state = await answer.json()
        assert answer.status == 202, state
        return str(state["task_id"])


async def results(http: aiohttp.ClientSession, task_id: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        while True:
            async with http.get(f"/api/v1/results/{task_id}") as answer:
                document = await answer.json()
            if document["status"] not in ("pending", "running"):
                found: list[dict[str, Any]] = document["results"]
                return found
            await asyncio.sleep(0.02)


def items(*params: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"items": [{"id": n, "type": "bash", "params": each, **more} for n, each in enumerate(params)]}


async def test_templates_run_and_commands_do_not_unless_enabled(start: Any) -> None:
    """Contract §7: '`CANDY_BASH_ALLOW_COMMAND` … free-form commands, off'."""
    async with start() as (_, http):
        template, command = await results(
            http, await post(http, items({"template": "uptime", "threshold": "1"}, {"command": "id"}))
        )
        assert (template["status"], template["reason"]) == ("warning", "threshold_exceeded")
        assert template["message"].startswith("值 ")
        assert (command["status"], command["reason"]) == ("failed", "not_allowed")
        assert "CANDY_BASH_ALLOW_COMMAND" in command["message"]


async def test_a_command_needs_the_scope_of_its_own(start: Any) -> None:
    """Contract §1: '`tasks:command` (items with a free-form command; without it such an *item* is `not_allowed`)'."""
    async with start(CANDY_BASH_ALLOW_COMMAND="true") as (_, http):
        task = items({"template": "uptime"}, {"command": "echo well"})
        template, command = await results(http, await post(http, task, WRITER))
        assert (template["status"], command["reason"]) == ("normal", "not_allowed")
        assert "tasks:command" in command["message"]
        template, command = await results(http, await post(http, task))
        assert (command["status"], command["value"]) == ("normal", "well")


async def test_a_timeout_ends_everything_and_keeps_what_was_found(start: Any, sleepers: Any) -> None:
    """Contract §3: 'At a timeout or a cancel every process that the command started is dead'."""
    command = f"echo partly; (env -i setsid sleep {sleepers.seconds} &); trap '' TERM; while :; do sleep 1; done"
    async with start(CANDY_BASH_ALLOW_COMMAND="true") as (_, http):
        [result] = await results(http, await post(http, items({"command": command}, timeout=1)))
        assert sleepers() == []
        assert (result["status"], result["reason"], result["value"]) == ("failed", "timeout", "partly")
        assert result["stats"]["terminated"] == "verified"


async def test_a_cancel_answers_once_everything_is_dead(
    start: Any, sleepers: Any, until: Callable[..., Awaitable[None]]
) -> None:
    """Contract §2: 'DELETE … once the task has really stopped'."""
    command = f"(setsid sleep {sleepers.seconds} &); sleep {sleepers.seconds}"
    async with start(CANDY_BASH_ALLOW_COMMAND="true") as (_, http):
        task_id = await post(http, items({"command": command}))
        await until(lambda: len(sleepers()) == 2)
        async with http.delete(f"/api/v1/tasks/{task_id}") as answer:
            assert (await answer.json())["success"] is True
        assert sleepers() == []
        [result] = await results(http, task_id)
        assert (result["reason"], result["stats"]["terminated"]) == ("canceled", "verified")


async def test_no_command_outlives_the_agent(start: Any, sleepers: Any, until: Callable[..., Awaitable[None]]) -> None:
    command = f"(setsid sleep {sleepers.seconds} &); trap '' TERM; sleep {sleepers.seconds}; sleep {sleepers.seconds}"
    async with start(CANDY_BASH_ALLOW_COMMAND="true", CANDY_SHUTDOWN_GRACE="0.5") as (_, http):
        await post(http, items({"command": command}))
        await until(lambda: len(sleepers()) == 2)
    assert sleepers() == []


async def test_what_an_argument_says_is_nowhere_in_the_log(start: Any) -> None:
    async with start(CANDY_BASH_ALLOW_COMMAND="true", LOG_LEVEL="DEBUG") as (process, http):
        secret = "s3cret-of-a-command"
        await results(http, await post(http, items({"command": f"echo {secret}"})))
        await results(http, await post(http, items({"template": "dns_lookup", "args": {"host": f"{secret};"}})))
        assert secret not in (process.folder / "output.log").read_text()
