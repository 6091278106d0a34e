"""Commands through the whole agent: scopes, timeouts, cancels, shutdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from candy_testbed.running_agent import StartAgent
from candy_testbed.sleepers import Sleepers

WRITER = {"X-API-Key": "a-key-that-may-run-no-commands-of-its-own"}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An agent's environment in which there is a second key."""
    keys = tmp_path / "keys.yaml"
    scopes = ["tasks:read", "tasks:write"]
    keys.write_text(json.dumps([{"name": "writer", "key": WRITER["X-API-Key"], "scopes": scopes}]))
    return {"CANDY_API_KEYS_FILE": str(keys), "CANDY_BASH_GRACE": "0.2"}


@pytest.fixture
def commands(env: dict[str, str]) -> dict[str, str]:
    """The same, with free-form commands."""
    return {**env, "CANDY_BASH_ALLOW_COMMAND": "true"}


def items(*params: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"items": [{"id": n, "type": "bash", "params": each, **more} for n, each in enumerate(params)]}


async def test_templates_run_and_commands_do_not_unless_enabled(start_agent: StartAgent, env: dict[str, str]) -> None:
    """Contract §7: '`CANDY_BASH_ALLOW_COMMAND` … free-form commands, off'."""
    async with start_agent(**env) as agent:
        document = await agent.run(items({"template": "uptime", "threshold": "1"}, {"command": "id"}))
        template, command = document["results"]
        assert (template["status"], template["reason"]) == ("warning", "threshold_exceeded")
        assert template["message"].startswith("值 ")
        assert (command["status"], command["reason"]) == ("failed", "not_allowed")
        assert "CANDY_BASH_ALLOW_COMMAND" in command["message"]


async def test_a_command_needs_the_scope_of_its_own(start_agent: StartAgent, commands: dict[str, str]) -> None:
    """Contract §1: '`tasks:command` (items with a free-form command; without it such an *item* is `not_allowed`)'."""
    async with start_agent(**commands) as agent:
        task = items({"template": "uptime"}, {"command": "echo well"})
        template, command = (await agent.run(task, **WRITER))["results"]
        assert (template["status"], command["reason"]) == ("normal", "not_allowed")
        assert "tasks:command" in command["message"]
        template, command = (await agent.run(task))["results"]
        assert (command["status"], command["value"]) == ("normal", "well")


async def test_a_timeout_ends_everything_and_keeps_what_was_found(
    start_agent: StartAgent, commands: dict[str, str], sleepers: Sleepers
) -> None:
    """Contract §3: 'At a timeout or a cancel every process that the command started is dead'."""
    command = f"echo partly; (env -i setsid sleep {sleepers.seconds} &); trap '' TERM; while :; do sleep 1; done"
    async with start_agent(**commands) as agent:
        [result] = (await agent.run(items({"command": command}, timeout=5)))["results"]
        assert sleepers() == []
        assert (result["status"], result["reason"], result["value"]) == ("failed", "timeout", "partly")
        assert result["stats"]["terminated"] == "verified"


async def test_a_cancel_answers_once_everything_is_dead(
    start_agent: StartAgent, commands: dict[str, str], sleepers: Sleepers
) -> None:
    """Contract §2: 'DELETE … once the task has really stopped'."""
    command = f"(setsid sleep {sleepers.seconds} &); sleep {sleepers.seconds}"
    async with start_agent(**commands) as agent:
        task_id = await agent.submit(items({"command": command}))
        await sleepers.started(2)
        _, answer = await agent.delete(f"/api/v1/tasks/{task_id}")
        assert answer["success"] is True
        assert sleepers() == []
        [result] = (await agent.result(task_id))["results"]
        assert (result["reason"], result["stats"]["terminated"]) == ("canceled", "verified")


async def test_no_command_outlives_the_agent(
    start_agent: StartAgent, commands: dict[str, str], sleepers: Sleepers
) -> None:
    command = f"(setsid sleep {sleepers.seconds} &); trap '' TERM; sleep {sleepers.seconds}; sleep {sleepers.seconds}"
    async with start_agent(**commands, CANDY_SHUTDOWN_GRACE="0.5") as agent:
        await agent.submit(items({"command": command}))
        await sleepers.started(2)
    assert sleepers() == []


async def test_what_an_argument_says_is_nowhere_in_the_log(start_agent: StartAgent, commands: dict[str, str]) -> None:
    async with start_agent(**commands, LOG_LEVEL="DEBUG") as agent:
        secret = "s3cret-of-a-command"
        await agent.run(items({"command": f"echo {secret}"}))
        await agent.run(items({"template": "dns_lookup", "args": {"host": f"{secret};"}}))
        assert secret not in agent.output()
