"""Secrets are looked up each time they are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from candy_core import NotFound, Secret
from candy_core.config import load_configuration
from candy_core.config.credentials import Credentials
from candy_core.config.settings import Settings


async def revealed(credentials: Credentials, name: str) -> str:
    return (await credentials.lookup(name)).reveal()


async def test_the_core_has_two_keys() -> None:
    credentials = Credentials(
        Settings(server_api_key=Secret("s"), api_key=Secret("a")), agent_key=lambda: Secret("made")
    )
    assert await revealed(credentials, "server") == "s"
    assert await revealed(credentials, "agent") == "a"


async def test_the_agent_may_generate_its_key() -> None:
    made: list[Secret] = []
    credentials = Credentials(Settings(), agent_key=lambda: made[0] if made else None)
    with pytest.raises(NotFound, match="set CANDY_API_KEY"):
        await credentials.lookup("agent")
    made.append(Secret("made"))
    assert await revealed(credentials, "agent") == "made"


async def test_a_missing_credential_says_what_to_configure() -> None:
    credentials = Credentials(Settings())
    with pytest.raises(NotFound, match="set CANDY_SERVER_API_KEY or CANDY_SERVER_API_KEY_FILE"):
        await credentials.lookup("server")
    with pytest.raises(NotFound, match="there is no credential 'db'; there are 'agent' and 'server'"):
        await credentials.lookup("db")


async def test_a_rotated_file_is_read_again_and_an_incomplete_one_ignored(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old\n")
    configuration = load_configuration(None, {"CANDY_SERVER_API_KEY_FILE": str(file)}, hostname="h")
    now = [0.0]
    credentials = Credentials(configuration.settings, files=configuration.secret_files, clock=lambda: now[0])
    assert await revealed(credentials, "server") == "old"
    file.write_text("new\n")
    assert await revealed(credentials, "server") == "old", "read again only after a few seconds"
    now[0] += 6
    assert await revealed(credentials, "server") == "new"
    file.write_text("")
    now[0] += 6
    assert await revealed(credentials, "server") == "new"
    file.unlink()
    now[0] += 6
    assert await revealed(credentials, "server") == "new"
