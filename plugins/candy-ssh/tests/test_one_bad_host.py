"""One bad host among 200, each kind of bad being a real one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from candy_core import Outcome
from candy_testbed import eventually
from candy_testbed.ssh_hosts import Hosts

pytestmark = pytest.mark.usefixtures("slow_machine")
CONNECT = 20.0
"""Seconds for connecting and logging in; enough for eight hosts at once on a machine with ten times as much to do."""
WRITES = """
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
}


@pytest.fixture
def settings(ssh_hosts: Hosts, tmp_path: Path) -> dict[str, Any]:
    """With which all of them may be asked."""
    (tmp_path / "known").write_text(ssh_hosts.known_hosts)
    return {
        "known_hosts": str(tmp_path / "known"),
        "credentials": {"login": {"username": ssh_hosts.user, "private_key_file": str(ssh_hosts.key)}},
        "connect_timeout": CONNECT,
        "idle_time": 600,
        "concurrency": 8,
    }


def among(ssh_hosts: Hosts, bad: str) -> dict[str, Any]:
    """Params of an item on 199 good hosts with a bad one in their midst."""
    return {
        "host": None,
        "hosts": [*ssh_hosts.good[:20], ssh_hosts.bad[bad], *ssh_hosts.good[20:199]],
        "port": ssh_hosts.port,
        "command": WRITES,
    }


def check_one_failed(outcome: Outcome, address: str, words: str) -> None:
    """199 are normal, and the line of the other one names it and says why."""
    assert (outcome.status, outcome.stats["hosts"], outcome.stats["normal"]) == ("failed", 200, 199), outcome
    values = outcome.stats["values"]
    assert isinstance(values, dict)
    assert list(values.values()).count("here") == 199
    [line] = outcome.details.splitlines()
    assert line.startswith(f"{address}: ")
    assert words in line


async def test_one_bad_host_among_200_costs_only_itself(
    open_agent: Any, ssh_hosts: Hosts, settings: dict[str, Any]
) -> None:
    """One item on 200 hosts; whatever one of them does, it takes no more than that one's own time."""
    async with open_agent(**settings) as agent:
        for kind, (reason, words) in EXPECTED.items():
            if kind not in ssh_hosts.bad:
                continue  # only root can have it
            outcome = await agent.run(**among(ssh_hosts, kind))  # at all: 200 times the bad one's would be an hour
            assert (kind, outcome.reason) == (kind, reason)
            check_one_failed(outcome, ssh_hosts.bad[kind], words)


async def test_a_command_that_never_ends_on_one_host_of_200_costs_only_that_one(
    open_agent: Any, ssh_hosts: Hosts, settings: dict[str, Any]
) -> None:
    """Contract §2: "What has finished by then is always kept and reported"; §3: its processes are dead."""
    async with open_agent(**settings) as agent:
        links = agent.executor.pool._connections
        call = asyncio.ensure_future(agent.run(**among(ssh_hosts, "never ends")))
        await eventually(lambda: len(links) == 200 and sum(link.users for link in links) == 1, within=300)
        await asyncio.wait({call}, timeout=1)
        assert not call.done()
        call.cancel()
        outcome = await call
    check_one_failed(outcome, ssh_hosts.bad["never ends"], "still running")
    assert outcome.stats["reasons"] == {"ok": 199, "canceled": 1}
    assert outcome.stats["terminated"] == "verified"


async def test_an_item_that_is_ended_tells_of_every_host(
    open_agent: Any, ssh_hosts: Hosts, settings: dict[str, Any]
) -> None:
    """Contract §2: "What has finished by then is always kept": refused, still connecting, and not begun with."""
    bad = ssh_hosts.bad
    hosts = [bad["refuses"], bad["never accepts"], bad["says nothing"], ssh_hosts.good[0]]
    async with open_agent(**{**settings, "concurrency": 2}) as agent:
        outcome = await agent.run_and_cancel(5.0, **{**among(ssh_hosts, "refuses"), "hosts": hosts})
    refused, *cut, not_begun = outcome.details.splitlines()
    assert "refused" in refused
    assert [line.partition(": ")[::2] for line in cut] == [
        (host, "it had not been reached when the item was ended") for host in hosts[1:3]
    ]
    assert not_begun == f"{hosts[3]}: not run"
