"""Commands on other hosts through the whole agent: results, callbacks, cancels, credentials, and what is kept quiet."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from candy_server.server import CandyServer
from candy_testbed import Sshd, ssh_keygen
from candy_testbed.running_agent import RunningAgent, StartAgent
from candy_testbed.sleepers import Sleepers
from candy_testbed.ssh_hosts import PASSWORD, USER

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start an sshd that checks passwords")


@pytest.fixture
def env(sshd: Sshd, ssh_keys: Path, tmp_path: Path) -> dict[str, str]:
    """An agent's environment with which the session's sshd may be asked."""
    (tmp_path / "known_hosts").write_text(sshd.known_hosts())
    login = {"username": getpass.getuser(), "private_key_file": str(ssh_keys / "login")}
    return {
        "CANDY_SSH_ALLOWED_HOSTS": "127.0.0.0/8",
        "CANDY_SSH_KNOWN_HOSTS": str(tmp_path / "known_hosts"),
        "CANDY_SSH_CREDENTIALS": json.dumps({"login": login}),
        "CANDY_SSH_ALLOW_COMMAND": "true",
    }


def items(sshd: Sshd, *params: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A task with an item for each of ``params``, on the session's sshd and as ``login`` unless they say otherwise."""
    usual = {"host": "127.0.0.1", "port": str(sshd.port), "credential": "login"}
    return {
        "items": [
            {"id": number, "type": "ssh", "params": {k: v for k, v in {**usual, **each}.items() if v is not None}}
            for number, each in enumerate(params)
        ],
        **more,
    }


async def test_a_task_comes_back_as_a_result_and_as_a_callback(
    start_agent: StartAgent, env: dict[str, str], sshd: Sshd, candy_server: CandyServer
) -> None:
    """Contract §2 and §3: "exit 0 is `normal`, else `failed`/`exit_code`"; §4: the callback is the result object."""
    async with start_agent(**env, CANDY_SERVER_URL=candy_server.url, CANDY_SERVER_API_KEY=candy_server.key) as agent:
        task = items(
            sshd,
            {"template": "uptime"},
            {"command": "echo 81", "threshold": "80"},
            {"command": "echo why >&2; exit 3"},
            {"host": None, "hosts": "127.0.0.1,127.0.0.2", "command": "true"},
            {"host": "10.0.0.1", "command": "true"},
            task_id="t",
        )
        document = await agent.run(task)
        assert (document["status"], document["message"]) == ("completed", "Task completed with some failures")
        found = [(result["status"], result["reason"]) for result in document["results"]]
        assert found == [
            ("normal", "ok"),
            ("warning", "threshold_exceeded"),
            ("failed", "exit_code"),
            ("failed", "host_key_mismatch"),
            ("failed", "not_allowed"),
        ]
        uptime, compared, exited, many, _ = document["results"]
        assert float(uptime["value"]) > 0
        assert compared["message"] == "值 81.00 超过阈值 80.00"
        assert "why" in exited["message"]
        assert many["details"].startswith("127.0.0.2: ")
        assert many["stats"]["normal"] == 1
        assert (await candy_server.callback("t")).body == document


async def test_a_cancel_answers_once_the_remote_processes_are_dead(
    start_agent: StartAgent, env: dict[str, str], sshd: Sshd, sleepers: Sleepers
) -> None:
    """Contract §2: "DELETE … once the task has really stopped"; §3: "on the far side of an SSH connection too"."""
    command = f"echo begun; (env -i setsid sleep {sleepers.seconds} &); trap '' TERM; sleep {sleepers.seconds}"
    async with start_agent(**env) as agent:
        await agent.post("/api/v1/task", items(sshd, {"command": command}, {"command": "true"}, task_id="t"))
        await sleepers.started(2)
        status, state = await agent.delete("/api/v1/tasks/t")
        assert (status, state["success"], state["status"]) == (200, True, "canceled")
        assert sleepers() == []
        canceled, other = (await agent.get("/api/v1/results/t"))["results"]
        assert (canceled["reason"], canceled["value"]) == ("canceled", "begun")
        assert canceled["stats"]["terminated"] == "verified", canceled["details"]
        assert other["reason"] in ("ok", "canceled")


@pytest.mark.parametrize("hosts", [{}, {"host": None, "hosts": "127.0.0.1"}], ids=["one host", "a list of hosts"])
async def test_a_timeout_ends_the_remote_processes(
    start_agent: StartAgent, env: dict[str, str], sshd: Sshd, sleepers: Sleepers, hosts: Mapping[str, Any]
) -> None:
    """Contract §3: "At a timeout … dead … on the far side"; an item's time is its own."""
    async with start_agent(**env) as agent:
        task = items(sshd, {"command": f"echo begun; sleep {sleepers.seconds}", **hosts})
        task["items"][0]["timeout"] = 6
        [result] = (await agent.run(task))["results"]
        assert sleepers() == []
        assert (result["status"], result["reason"]) == ("failed", "timeout")
        assert result["stats"]["terminated"] == "verified", result["details"]


async def test_no_remote_command_outlives_the_agent(
    start_agent: StartAgent, env: dict[str, str], sshd: Sshd, sleepers: Sleepers
) -> None:
    """Contract §6: "SIGTERM: … running ones get CANDY_SHUTDOWN_GRACE … the rest `canceled`"."""
    async with start_agent(**env, CANDY_SHUTDOWN_GRACE="0.5") as agent:
        command = f"trap '' TERM HUP; setsid sleep {sleepers.seconds} & sleep {sleepers.seconds}"
        await agent.post("/api/v1/task", items(sshd, {"command": command}))
        await sleepers.started(2)
    assert sleepers() == []


async def everything_said(agent: RunningAgent, task_ids: list[str]) -> str:
    """All that the agent says of these tasks, and of itself."""
    paths = ["/api/v1/tasks", "/api/v1/plugins", "/api/v1/config", "/ready", "/metrics", "/api/v1/deadletters"]
    for task_id in task_ids:
        paths += [f"/api/v1/tasks/{task_id}", f"/api/v1/results/{task_id}", f"/api/v1/tasks/{task_id}/logs"]
    said = []
    for path in paths:
        async with agent.http.get(path) as answer:
            assert answer.status == 200, path
            said.append(await answer.text())
    return "\n".join([*said, (agent.process.folder / "output.log").read_text()])


def processes() -> str:
    """The command lines and environments of whatever runs, as far as one may read them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                found.append((folder / name).read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return "\n".join(found)


async def test_no_secret_of_an_item_is_told_anywhere(
    start_agent: StartAgent,
    env: dict[str, str],
    sshd: Sshd,
    ssh_keys: Path,
    sleepers: Sleepers,
    candy_server: CandyServer,
    tmp_path: Path,
) -> None:
    """Contract §3: "`password` or `private_key` … accepted from today's callers, never logged nor echoed"."""
    word = f"word-{token_hex(8)}"  # other tests have their processes, and their secrets
    locked = ssh_keygen(tmp_path / "locked", passphrase=f"{word}-passphrase").read_text()
    key = (ssh_keys / "login").read_text()
    user = getpass.getuser()
    own: dict[str, Any] = {"credential": None, "username": user}
    good = items(sshd, {**own, "private_key": key, "command": f"sleep {sleepers.seconds}"}, task_id="good")
    bad = items(
        sshd,
        {**own, "password": f"{word}-wrong", "command": "true"},
        {**own, "private_key": locked, "passphrase": f"{word}-passphrase", "command": "true"},
        {**own, "private_key": locked, "passphrase": f"{word}-other", "command": "true"},
        {**own, "private_key": key[:-90], "command": "true"},
        {**own, "password": f"{word}-both", "private_key": key, "command": "true"},
        {**own, "password": [f"{word}-list"], "command": "true"},
        {**own, "passwort": f"{word}-misspelt", "command": "true"},
        {"host": None, "hosts": "127.0.0.1,127.0.0.2", **own, "password": f"{word}-many", "command": "true"},
        task_id="bad",
    )
    words = key.splitlines()[2], locked.splitlines()[2]
    async with start_agent(
        **env, CANDY_SERVER_URL=candy_server.url, CANDY_SERVER_API_KEY=candy_server.key, LOG_LEVEL="DEBUG"
    ) as agent:
        await agent.post("/api/v1/task", good)
        await sleepers.started()
        seen = processes()
        assert (await agent.delete("/api/v1/tasks/good"))[1]["success"] is True
        document = await agent.run(bad)
        refused = await agent.post("/api/v1/task", {**bad, "task_id": "strict"}, Prefer="handling=strict")
        assert refused[0] == 422
        conflict = await agent.post("/api/v1/task", {**good, "task_id": "bad"})
        assert conflict[0] == 409
        received = [(await candy_server.callback(task_id)).body for task_id in ("good", "bad")]
        beat = await agent.post("/api/v1/heartbeat/agent-001", {})
        said = json.dumps([refused, conflict, received, beat]) + await everything_said(agent, ["good", "bad"])
    many = document["results"].pop()
    assert many["stats"]["reasons"] == {"auth_failed": 1, "host_key_mismatch": 1}
    reasons = [result["reason"] for result in document["results"]]
    assert reasons == ["auth_failed"] * 4 + ["bad_params"] * 3
    assert "Permission denied" in said
    for secret in (word, *words):
        assert secret not in said
        assert secret not in seen


@only_root
async def test_the_settings_secrets_may_be_in_files(
    start_agent: StartAgent, env: dict[str, str], sshd: Sshd, tmp_path: Path
) -> None:
    """Contract §7: "Any secret `X` may be given as `X_FILE`", those of credentials among them."""
    locked = ssh_keygen(tmp_path / "locked", passphrase="open sesame")
    files = {"password": PASSWORD, "wrong": "wrong-word", "passphrase": "open sesame"}
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    credentials = {
        "password": {"username": USER, "password_file": str(tmp_path / "password")},
        "wrong": {"username": USER, "password_file": str(tmp_path / "wrong")},
        "locked": {
            "username": USER,
            "private_key_file": str(locked),
            "passphrase_file": str(tmp_path / "passphrase"),
        },
    }
    asked = items(sshd, *({"credential": name, "command": "id -un"} for name in [*credentials, "nobody", "agent"]))
    inline = {**env, "CANDY_SSH_CREDENTIALS": json.dumps(credentials)}
    async with start_agent(**inline) as agent:
        password, wrong, key, unknown, own = (await agent.run(asked))["results"]
        said = await everything_said(agent, [])
    assert (password["reason"], password["value"]) == ("ok", USER)
    assert wrong["reason"] == "auth_failed"
    assert key["reason"] == "auth_failed"  # the key was opened, and the server does not know it
    assert "passphrase" not in key["message"]
    assert unknown["reason"] == "not_configured"
    assert "plugins.ssh.credentials.nobody" in unknown["message"]
    assert own["reason"] == "not_allowed"
    for secret in files.values():
        assert secret not in said
