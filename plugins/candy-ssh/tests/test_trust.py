"""An open connection is no longer used once its host key is no longer trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncssh
import pytest

from candy_core import Reason


@pytest.mark.parametrize("line", ["@revoked * {key}", "@revoked [127.0.0.1]:{port} {key}"])
async def test_an_open_connection_is_not_used_after_its_key_is_revoked(
    open_agent: Any, sshd: Any, tmp_path: Path, line: str
) -> None:
    """Contract §3: 'host keys are always checked'."""
    known = tmp_path / "own"
    known.write_text(sshd.known_hosts())
    async with open_agent(known_hosts=str(known)) as agent:
        assert (await agent.run(command="true")).reason == "ok"
        known.write_text(sshd.known_hosts() + line.format(key=sshd.host_key, port=sshd.port) + "\n")
        agent.executor.host_keys._checked_at = None
        assert (await agent.run(command="true")).reason == Reason.HOST_KEY_MISMATCH


async def test_an_open_connection_is_not_used_after_its_key_is_replaced(
    open_agent: Any, sshd: Any, tmp_path: Path
) -> None:
    """Contract §3: 'host keys are always checked'."""
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known = tmp_path / "own"
    known.write_text(sshd.known_hosts())
    async with open_agent(known_hosts=str(known)) as agent:
        assert (await agent.run(command="true")).reason == "ok"
        known.write_text(f"* {other}")
        agent.executor.host_keys._checked_at = None
        assert (await agent.run(command="true")).reason == Reason.HOST_KEY_MISMATCH
