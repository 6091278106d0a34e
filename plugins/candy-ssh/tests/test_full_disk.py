"""A host on whose disks nothing can be written: commands run, and end, as elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from candy_testbed import Account, Sshd
from candy_testbed.fixtures import required
from candy_testbed.sleepers import Sleepers

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount disks that are full"),
    pytest.mark.usefixtures("slow_machine"),
]

SHELLS = {
    "its own sh": None,
    # Up to 5.0 bash writes every here-document into a file; later ones those that are long.
    "bash before 5.1": Path(shutil.which("bash") or "/bin/bash"),
}


@pytest.fixture(scope="module", params=SHELLS)
def full(ssh_keys: Path, request: pytest.FixtureRequest) -> Iterator[Sshd]:
    """A server whose home, ``/tmp``, ``/var/tmp`` and ``/dev/shm`` are full."""
    server = Sshd(
        authorized=[(ssh_keys / "login.pub").read_text()],
        accounts=[Account(name="root", uid=0)],
        options=["SetEnv BASH_COMPAT=50"],
        disk_full=True,
        shell=SHELLS[request.param],
    )
    with required(server):
        yield server


@pytest.fixture
def known(full: Sshd, tmp_path: Path) -> dict[str, Any]:
    """Settings with which the host may be asked."""
    (tmp_path / "known").write_text(full.known_hosts())
    return {"known_hosts": str(tmp_path / "known")}


async def test_what_writes_nothing_is_normal(open_agent: Any, full: Sshd, known: dict[str, Any]) -> None:
    """Contract §3: "exit 0 is ``normal``"; nothing of how a command is started takes room over there."""
    async with open_agent(**known) as agent:
        outcome = await agent.run(port=full.port, template="uptime")
        assert (outcome.status, outcome.reason) == ("normal", "ok"), outcome
        outcome = await agent.run(port=full.port, template="disk_usage", args={"path": "/tmp"}, critical="90")
        assert (outcome.status, outcome.value) == ("critical", "100"), outcome


async def test_what_writes_fails_with_its_own_words(open_agent: Any, full: Sshd, known: dict[str, Any]) -> None:
    """Contract §3: "else ``failed``/``exit_code``"."""
    async with open_agent(**known) as agent:
        for folder in ("$HOME", "/tmp", "/var/tmp", "/dev/shm"):
            outcome = await agent.run(port=full.port, command=f"printf some-text | dd of={folder}/a status=none")
            assert (outcome.status, outcome.reason) == ("failed", "exit_code"), outcome
            assert "No space left on device" in outcome.message


async def test_nothing_is_left_after_a_cancel(
    open_agent: Any, full: Sshd, known: dict[str, Any], sleepers: Sleepers
) -> None:
    """Contract §3: "At a timeout or a cancel every process that the command started is dead … ``verified``"."""
    async with open_agent(**known) as agent:
        sleep = f"sleep {sleepers.seconds}"
        command = f"trap '' TERM; env -i setsid {sleep} & while :; do {sleep}; done"
        outcome = await agent.run_and_cancel(0.3, sleepers.started(2), port=full.port, command=command)
        assert outcome.stats["terminated"] == "verified", outcome.details
        assert sleepers() == []
