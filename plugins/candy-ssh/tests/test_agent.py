"""Commands on other hosts through the whole agent: what it keeps to itself, who may ask, and how a late one ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from candy_testbed import AgentProcess, Sshd
from candy_testbed.sleepers import Sleepers

ADMIN = "a-key-that-may-do-everything"
WRITER = "a-key-that-may-run-no-commands-of-its-own"
WORD = "S3cretW0rd"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{WORD}\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture
def start(sshd: Sshd, ssh_keys: Path, tmp_path: Path) -> Any:
    """Start an agent that may log in on loopback; gives the process and a client with an administrator's key."""
    known = tmp_path / "known_hosts"
    known.write_text(sshd.known_hosts())
    keys = tmp_path / "keys.yaml"
    keys.write_text(json.dumps([{"name": "writer", "key": WRITER, "scopes": ["tasks:read", "tasks:write"]}]))
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    credentials = {
        "login": {"username": user, "private_key_file": str(ssh_keys / "login")},
        "broken": {"username": user, "private_key": KEY, "passphrase": WORD},
    }

    @asynccontextmanager
    async def started(**env: str) -> AsyncIterator[tuple[AgentProcess, aiohttp.ClientSession]]:
        settings = {
            "CANDY_API_KEY": ADMIN,
            "CANDY_API_KEYS_FILE": str(keys),
            "CANDY_SSH_ALLOWED_HOSTS": "127.0.0.0/8",
            "CANDY_SSH_KNOWN_HOSTS": str(known),
            "CANDY_SSH_CREDENTIALS": json.dumps(credentials),
            "LOG_LEVEL": "DEBUG",
            **env,
        }
        async with (
            AgentProcess(env=settings) as process,
            aiohttp.ClientSession(process.url, headers={"X-API-Key": ADMIN}) as http,
        ):
            async with asyncio.timeout(20):
                while (await http.get("/ready")).status != 200:  # noqa: ASYNC110  # another process gets ready
                    await asyncio.sleep(0.02)
            yield process, http

    return started


def task(sshd: Sshd, *params: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One item for each of ``params``, all on the test's server."""
    where = {"host": "127.0.0.1", "port": str(sshd.port)}
    return {"items": [{"id": n, "type": "ssh", "params": {**where, **each}, **more} for n, each in enumerate(params)]}


async def results(http: aiohttp.ClientSession, body: dict[str, Any], key: str = ADMIN) -> list[dict[str, Any]]:
    """Send a task and wait for what comes of it."""
    async with http.post("/api/v1/task", json=body, headers={"X-API-Key": key}) as answer:
        state = await answer.json()
        assert answer.status == 202, state
    async with asyncio.timeout(30):
        while True:
            async with http.get(f"/api/v1/results/{state['task_id']}") as answer:
                document = await answer.json()
            if document["status"] not in ("pending", "running"):
                found: list[dict[str, Any]] = document["results"]
                return found
            await asyncio.sleep(0.02)


async def test_a_command_needs_the_setting_and_the_scope(start: Any, sshd: Sshd) -> None:
    """Contract §3: 'the setting is `plugins.ssh.allow_command`'; §1: 'without it … `not_allowed`'."""
    body = task(sshd, {"credential": "login", "template": "uptime"}, {"credential": "login", "command": "echo well"})
    async with start() as (_, http):
        template, command = await results(http, body)
        assert (template["status"], command["reason"]) == ("normal", "not_allowed")
        assert "CANDY_SSH_ALLOW_COMMAND" in command["message"]
    async with start(CANDY_SSH_ALLOW_COMMAND="true") as (_, http):
        template, command = await results(http, body, WRITER)
        assert (template["status"], command["reason"]) == ("normal", "not_allowed")
        assert "tasks:command" in command["message"]
        _, command = await results(http, body)
        assert (command["status"], command["value"]) == ("normal", "well")


async def test_a_timeout_ends_everything_on_the_far_side_too(start: Any, sshd: Sshd, sleepers: Sleepers) -> None:
    """Contract §3: 'At a timeout … dead, … on the far side of an SSH connection too; `stats.terminated`'."""
    seconds = sleepers.seconds
    command = f"echo partly; (env -i setsid sleep {seconds} &); trap '' TERM; while :; do sleep {seconds}; done"
    async with start(CANDY_SSH_ALLOW_COMMAND="true") as (_, http):
        [result] = await results(http, task(sshd, {"credential": "login", "command": command}, timeout=2))
        assert sleepers() == []
        assert (result["status"], result["reason"], result["value"]) == ("failed", "timeout", "partly")
        assert result["stats"]["terminated"] == "verified"


async def test_secrets_of_callers_and_of_the_configuration_are_told_nowhere(start: Any, sshd: Sshd) -> None:
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
    told: dict[str, str] = {}
    async with start(CANDY_SSH_ALLOW_COMMAND="true", PYTHONASYNCIODEBUG="1") as (process, http):
        for query, headers in (("?dry_run=true", {}), ("", {"Prefer": "handling=strict"})):
            async with http.post(f"/api/v1/task{query}", json=body, headers=headers) as answer:
                told[f"POST {query}{headers}"] = await answer.text()
                assert answer.status in (200, 422)
        found = await results(http, body)
        assert {result["status"] for result in found} == {"failed"}
        reasons = [result["reason"] for result in found]
        assert reasons == ["auth_failed", *["bad_params"] * 4, "auth_failed", "host_key_mismatch", "auth_failed"]
        told["results"] = json.dumps(found)
        async with http.get("/api/v1/tasks") as answer:
            ids = [state["task_id"] for state in (await answer.json())["tasks"]]
        for path in ("/api/v1/config", "/metrics", *(f"/api/v1/tasks/{each}/logs" for each in ids)):
            async with http.get(path) as answer:
                told[path] = await answer.text()
        told["log"] = (process.folder / "output.log").read_text()
    assert [name for name, text in told.items() if WORD in text or ADMIN in text] == []
    assert "task_ended" in told["log"]


async def test_nothing_of_the_agents_environment_crosses_the_connection(start: Any, sshd: Sshd) -> None:
    """Lessons, "Letting anyone in": 'nothing secret in … an environment that a child inherits'."""
    async with start(CANDY_SSH_ALLOW_COMMAND="true", MY_OWN_VARIABLE=WORD) as (_, http):
        [result] = await results(http, task(sshd, {"credential": "login", "command": "env; id -u"}))
        assert result["status"] == "normal"
        assert str(os.getuid()) in result["details"].splitlines()
        names = {line.partition("=")[0] for line in result["details"].splitlines() if "=" in line}
        assert {name for name in names if name.startswith("CANDY_")} == {"CANDY_RUN"}
        assert WORD not in result["details"]
        assert ADMIN not in result["details"]
