"""200 hosts in one task of the whole agent, and bad ones of every kind among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from candy_testbed.running_agent import StartAgent
from candy_testbed.ssh_hosts import Hosts

TEMPLATES = """
templates:
  write:
    argv:
      - sh
      - -c
      - literal: |
          sleep "${STALL:-0}" || exit
          file=$(mktemp) || exit
          trap 'rm -f "$file"' EXIT
          printf here | dd of="$file" status=none && cat "$file"
"""
EXPECTED = {
    "refuses": ("unreachable", "Connection refused"),
    "never accepts": ("unreachable", "no answer within 20 s"),
    "says nothing": ("unreachable", "no answer within 20 s"),
    "changed key": ("host_key_mismatch", "another key is known"),
    "no room": ("unreachable", "MaxStartups"),
    "wrong login": ("auth_failed", "Permission denied"),
    "disk full": ("exit_code", "No space left on device"),
    "never ends": ("timeout", ""),
}


@pytest.fixture
def env(ssh_hosts: Hosts, tmp_path: Path) -> dict[str, str]:
    """An agent's environment with which all of the hosts may be asked; a task's items run side by side."""
    (tmp_path / "known_hosts").write_text(ssh_hosts.known_hosts)
    (tmp_path / "templates.yaml").write_text(TEMPLATES)
    return {
        "CANDY_SSH_ALLOWED_HOSTS": "127.0.0.0/8",
        "CANDY_SSH_KNOWN_HOSTS": str(tmp_path / "known_hosts"),
        "CANDY_SSH_TEMPLATES": str(tmp_path / "templates.yaml"),
        "CANDY_SSH_CREDENTIALS": json.dumps(
            {"login": {"username": ssh_hosts.user, "private_key_file": str(ssh_hosts.key)}}
        ),
        "CANDY_SSH_CONNECT_TIMEOUT": "20",
        "CANDY_SSH_IDLE_TIME": "600",  # 200 log-ins take their time where others use the machine, too
    }


def on(ssh_hosts: Hosts, **where: Any) -> dict[str, Any]:
    """An item."""
    params = {**where, "port": ssh_hosts.port, "credential": "login", "template": "write"}
    return {"id": where.get("host", "all"), "type": "ssh", "params": params}


async def test_one_bad_host_in_a_task_of_200_items_costs_only_its_own_item(
    start_agent: StartAgent, env: dict[str, str], ssh_hosts: Hosts
) -> None:
    """Contract §2: a task whose items all got their turn is `completed`; one after the other would be cut off."""
    async with start_agent(**env) as agent:
        for kind, bad in ssh_hosts.bad.items():
            reason, words = EXPECTED[kind]
            hosts = [*ssh_hosts.good[:20], bad, *ssh_hosts.good[20:199]]
            task: dict[str, Any] = {
                "items": [on(ssh_hosts, host=host) for host in hosts],
                "timeout": 600,
                "locale": "en",
            }
            task["items"][20]["timeout"] = 20 if kind == "never ends" else 300
            document = await agent.run(task)
            assert document["status"] == "completed", kind
            assert document["message"] == "Task completed with some failures", kind
            found = {result["item_id"]: result for result in document["results"]}
            assert [host for host, result in found.items() if result["status"] != "normal"] == [bad], kind
            assert {result["value"] for host, result in found.items() if host != bad} == {"here"}, kind
            assert (found[bad]["status"], found[bad]["reason"]) == ("failed", reason), kind
            assert words in found[bad]["message"]
            told = f"{found[bad]['message']}\n{found[bad]['details']}"
            assert bad in told, kind


async def test_bad_hosts_of_every_kind_in_one_item_have_a_line_each(
    start_agent: StartAgent, env: dict[str, str], ssh_hosts: Hosts
) -> None:
    """Contract §2: an item's timeout is its own, and what had been found by then is reported."""
    async with start_agent(**env) as agent:
        hosts = [*ssh_hosts.bad.values(), *ssh_hosts.good[: 200 - len(ssh_hosts.bad)]]
        item = {**on(ssh_hosts, hosts=hosts), "timeout": 100}
        [result] = (await agent.run({"items": [item], "timeout": 300, "locale": "en"}))["results"]
    assert (result["status"], result["reason"]) == ("failed", "timeout")
    assert (result["stats"]["hosts"], result["stats"]["normal"]) == (200, 200 - len(ssh_hosts.bad))
    assert result["stats"]["terminated"] == "verified"
    lines = dict(line.split(": ", 1) for line in result["details"].splitlines())
    assert lines.keys() == set(ssh_hosts.bad.values())
    for kind, bad in ssh_hosts.bad.items():
        assert (EXPECTED[kind][1] or "still running") in lines[bad]
