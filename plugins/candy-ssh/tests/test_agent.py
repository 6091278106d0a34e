"""Commands on other hosts through the whole agent: what it keeps to itself, who may ask, and how a late one ends."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from candy_testbed import Sshd
from candy_testbed.running_agent import KEY as ADMIN
from candy_testbed.running_agent import StartAgent
from candy_testbed.sleepers import Sleepers

WRITER = {"X-API-Key": "a-key-that-may-run-no-commands-of-its-own"}
WORD = "S3cretW0rd"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{WORD}\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture
def env(sshd: Sshd, ssh_keys: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of an agent that may log in on loopback."""
    known = tmp_path / "known_hosts"
    known.write_text(sshd.known_hosts())
    keys = tmp_path / "keys.yaml"
    scopes = ["tasks:read", "tasks:write"]
    keys.write_text(json.dumps([{"name": "writer", "key": WRITER["X-API-Key"], "scopes": scopes}]))
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    credentials = {
        "login": {"username": user, "private_key_file": str(ssh_keys / "login")},
        "broken": {"username": user, "private_key": KEY, "passphrase": WORD},
    }
    return {
        "CANDY_API_KEYS_FILE": str(keys),
        "CANDY_SSH_ALLOWED_HOSTS": "127.0.0.0/8",
        "CANDY_SSH_KNOWN_HOSTS": str(known),
        "CANDY_SSH_CREDENTIALS": json.dumps(credentials),
        "LOG_LEVEL": "DEBUG",
    }


@pytest.fixture
def commands(env: dict[str, str]) -> dict[str, str]:
    """The same, with free-form commands."""
    return {**env, "CANDY_SSH_ALLOW_COMMAND": "true"}


def task(sshd: Sshd, *params: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One item for each of ``params``, all on the test's server."""
    where = {"host": "127.0.0.1", "port": str(sshd.port)}
    return {"items": [{"id": n, "type": "ssh", "params": {**where, **each}, **more} for n, each in enumerate(params)]}


async def test_a_command_needs_the_setting_and_the_scope(
    start_agent: StartAgent, env: dict[str, str], sshd: Sshd
) -> None:
    """Contract §3: 'the setting is `plugins.ssh.allow_command`'; §1: 'without it … `not_allowed`'."""
    body = task(sshd, {"credential": "login", "template": "uptime"}, {"credential": "login", "command": "echo well"})
    async with start_agent(**env) as agent:
        template, command = (await agent.run(body))["results"]
        assert (template["status"], command["reason"]) == ("normal", "not_allowed")
        assert "CANDY_SSH_ALLOW_COMMAND" in command["message"]
    async with start_agent(**env, CANDY_SSH_ALLOW_COMMAND="true") as agent:
        template, command = (await agent.run(body, **WRITER))["results"]
        assert (template["status"], command["reason"]) == ("normal", "not_allowed")
        assert "tasks:command" in command["message"]
        _, command = (await agent.run(body))["results"]
        assert (command["status"], command["value"]) == ("normal", "well")


async def test_a_timeout_ends_everything_on_the_far_side_too(
    start_agent: StartAgent, commands: dict[str, str], sshd: Sshd, sleepers: Sleepers
) -> None:
    """Contract §3: 'At a timeout … dead, … on the far side of an SSH connection too; `stats.terminated`'."""
    seconds = sleepers.seconds
    command = f"echo partly; (env -i setsid sleep {seconds} &); trap '' TERM; while :; do sleep {seconds}; done"
    async with start_agent(**commands) as agent:
        [result] = (await agent.run(task(sshd, {"credential": "login", "command": command}, timeout=10)))["results"]
        assert sleepers() == []
        assert (result["status"], result["reason"], result["value"]) == ("failed", "timeout", "partly")
        assert result["stats"]["terminated"] == "verified"


async def test_secrets_of_callers_and_of_the_configuration_are_told_nowhere(
    start_agent: StartAgent, commands: dict[str, str], sshd: Sshd
) -> None:
    """Contract §3: '`password` or `private_key` … accepted from today's callers, never logged nor echoed'."""
    user = {"username": "nobody-by-this-name"}
    body = task(
        sshd,
        {**user, "password": WORD, "command": "true"},
        {**user, "password": [WORD], "command": "true"},
        {**user, "password": f"{WORD}\0", "command": "true"},
        {**user, "Password": WORD, "command": "true"},
        {**user, "password": WORD, "private_key": KEY, "command": "true"},
        {**user, "private_key": KEY, "passphrase": WORD, "command": "true"},
        {**user, "password": WORD, "port": "1", "command": "true"},
        {"credential": "broken", "command": "true"},
    )
    exposed: dict[str, str] = {}
    async with start_agent(**commands, PYTHONASYNCIODEBUG="1") as agent:
        for query, headers in (("?dry_run=true", {}), ("", {"Prefer": "handling=strict"})):
            async with agent.http.post(f"/api/v1/task{query}", json=body, headers=headers) as answer:
                exposed[f"POST {query}{headers}"] = await answer.text()
                assert answer.status in (200, 422)
        found = (await agent.run(body))["results"]
        assert {result["status"] for result in found} == {"failed"}
        reasons = [result["reason"] for result in found]
        assert reasons == ["auth_failed", *["bad_params"] * 4, "auth_failed", "host_key_mismatch", "auth_failed"]
        exposed["results"] = json.dumps(found)
        async with agent.http.get("/api/v1/tasks") as answer:
            ids = [state["task_id"] for state in (await answer.json())["tasks"]]
        for path in ("/api/v1/config", "/metrics", *(f"/api/v1/tasks/{each}/logs" for each in ids)):
            async with agent.http.get(path) as answer:
                exposed[path] = await answer.text()
        exposed["log"] = agent.output()
    assert [name for name, text in exposed.items() if WORD in text or ADMIN in text] == []
    assert "task_ended" in exposed["log"]


async def test_nothing_of_the_agents_environment_crosses_the_connection(
    start_agent: StartAgent, commands: dict[str, str], sshd: Sshd
) -> None:
    """Lessons, "Letting anyone in": 'nothing secret in … an environment that a child inherits'."""
    async with start_agent(**commands, MY_OWN_VARIABLE=WORD) as agent:
        [result] = (await agent.run(task(sshd, {"credential": "login", "command": "env; id -u"})))["results"]
        assert result["status"] == "normal"
        assert str(os.getuid()) in result["details"].splitlines()
        names = {line.partition("=")[0] for line in result["details"].splitlines() if "=" in line}
        assert {name for name in names if name.startswith("CANDY_")} == {"CANDY_RUN"}
        assert WORD not in result["details"]
        assert ADMIN not in result["details"]
