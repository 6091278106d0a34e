"""Hosts that were taken over, or talk too much: what they say neither fills the agent's memory nor misleads it."""

from __future__ import annotations

import asyncio
import re
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import asyncssh
import pytest

from candy_ssh.remote_scripts import locks_of

MARK = re.compile(r"CANDY_RUN=([0-9a-f]{32})")
STAT = "7 (sh) S 1 7 7 " + "0 " * 15 + "100 0 0"

Process: TypeAlias = "asyncssh.SSHServerProcess[bytes]"
Play: TypeAlias = Callable[[Process, bytes], Awaitable[None]]


class Anybody(asyncssh.SSHServer):
    """Accepts every user."""

    def begin_auth(self, username: str) -> bool:
        """Nothing has to be proved."""
        return False


@asynccontextmanager
async def host(open_agent: Any, *, command: Play, walker: Play) -> AsyncIterator[Any]:
    """An agent, and a host that plays a command and the walkers as told."""

    async def play(process: Process) -> None:
        found = MARK.search(process.command or "")
        with suppress(OSError, asyncssh.Error, asyncio.CancelledError):
            await (walker(process, b"") if found is None else command(process, found[1].encode()))

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        Anybody, "127.0.0.1", 0, server_host_keys=[key], process_factory=play, encoding=None
    )
    port = server.get_port()
    known = {f"[127.0.0.1]:{port}": [key.export_public_key().decode()]}
    try:
        defaults = {"host": "127.0.0.1", "port": port, "credential": "login"}
        async with open_agent(host_keys=known, defaults=defaults) as agent:
            yield agent
    finally:
        server.close()


async def write_forever(process: Process, data: bytes) -> None:
    """Write ``data`` again and again."""
    while True:
        process.stdout.write(data)
        await process.stdout.drain()


def introduce(process: Process, mark: bytes, *, words: str = f"{STAT}\n5\n\n") -> None:
    """What the launcher says."""
    process.stdout.write(mark + b"\n" + words.encode() + mark + b".\n")


async def lasts(process: Process, mark: bytes) -> None:
    """A command that says who it is and does not end."""
    introduce(process, mark)
    await asyncio.Event().wait()


async def silence(process: Process, mark: bytes) -> None:
    """Nothing, without end."""
    await asyncio.Event().wait()


async def test_an_introduction_without_end_is_not_kept(open_agent: Any) -> None:
    """Contract §3: 'Output is … cut at a limit, and the cut is reported'."""

    async def command(process: Process, mark: bytes) -> None:
        process.stdout.write(mark + b"\n")
        await write_forever(process, b"x" * 32_768)

    async with host(open_agent, command=command, walker=silence) as agent:
        outcome = await agent.run_and_cancel(2.0, command="true")
    assert outcome.stats["stdout_cut"] > 0
    assert outcome.stats["terminated"] == "unverified"


@pytest.mark.parametrize("line", [b"seen 1:1:1\n", b"left " + b"9" * 120_000 + b"\n", b"\n", b"x"])
async def test_a_walkers_lines_without_end_are_not_kept(open_agent: Any, line: bytes) -> None:
    """Contract §3: '`unverified` with the reason in `details`'."""

    async def walker(process: Process, mark: bytes) -> None:
        await write_forever(process, line * (65_536 // len(line) or 1))

    async with host(open_agent, command=lasts, walker=walker) as agent:
        tracemalloc.start()  # everything takes several times as long, the host's own part in this process, too
        try:
            outcome = await agent.run_and_cancel(1.0, grace=60, command="true")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcome.stats["terminated"] == "unverified"
    assert re.search("the search .* did not finish|the host did not answer in time", outcome.details)
    assert peak < 20_000_000


async def test_a_start_up_file_that_shows_the_command_line_is_not_taken_for_the_launcher(open_agent: Any) -> None:
    """Contract §3: '`stats.terminated` is `verified`': of who the command is, nothing is lost in the noise."""

    async def command(process: Process, mark: bytes) -> None:
        process.stdout.write((process.command or "").encode() + b"\n")
        introduce(process, mark, words=f"{STAT}\n{locks_of(mark.decode())}\n\n")
        process.stdout.write(b"42\n")
        await asyncio.Event().wait()

    async def walker(process: Process, mark: bytes) -> None:
        process.stdout.write(b"left\ndone\n")
        process.exit(0)

    async with host(open_agent, command=command, walker=walker) as agent:
        outcome = await agent.run_and_cancel(0.6, command="true")
    assert (outcome.value, outcome.stats["terminated"]) == ("42", "verified")
