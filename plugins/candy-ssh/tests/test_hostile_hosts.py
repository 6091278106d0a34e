"""Compromised or verbose hosts: their output neither fills the agent's memory nor misleads it."""

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
Behavior: TypeAlias = Callable[[Process, bytes], Awaitable[None]]


class AcceptAll(asyncssh.SSHServer):
    """Accepts every user."""

    def begin_auth(self, username: str) -> bool:
        """No authentication is required."""
        return False


@asynccontextmanager
async def host(open_agent: Any, *, command: Behavior, scanner: Behavior) -> AsyncIterator[Any]:
    """An agent, and a fake host with these behaviors for the command and for the scanner."""

    async def handle(process: Process) -> None:
        found = MARK.search(process.command or "")
        with suppress(OSError, asyncssh.Error, asyncio.CancelledError):
            await (scanner(process, b"") if found is None else command(process, found[1].encode()))

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        AcceptAll, "127.0.0.1", 0, server_host_keys=[key], process_factory=handle, encoding=None
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


def write_report(process: Process, mark: bytes, *, words: str = f"{STAT}\n5\n\n") -> None:
    """Write the report that the launcher prints."""
    process.stdout.write(mark + b"\n" + words.encode() + mark + b".\n")


async def hang_after_report(process: Process, mark: bytes) -> None:
    """A command that reports its process and does not end."""
    write_report(process, mark)
    await asyncio.Event().wait()


async def hang(process: Process, mark: bytes) -> None:
    """No output, and no end."""
    await asyncio.Event().wait()


async def test_a_launcher_report_without_end_is_not_kept(open_agent: Any) -> None:
    """Contract §3: 'Output is … cut at a limit, and the cut is reported'."""

    async def command(process: Process, mark: bytes) -> None:
        process.stdout.write(mark + b"\n")
        await write_forever(process, b"x" * 32_768)

    async with host(open_agent, command=command, scanner=hang) as agent:
        outcome = await agent.run_and_cancel(2.0, command="true")
    assert outcome.stats["stdout_cut"] > 0
    assert outcome.stats["terminated"] == "unverified"


@pytest.mark.parametrize("line", [b"seen 1:1:1\n", b"left " + b"9" * 120_000 + b"\n", b"\n", b"x"])
async def test_a_scanners_output_without_end_are_not_kept(open_agent: Any, line: bytes) -> None:
    """Contract §3: '`unverified` with the reason in `details`'."""

    async def scanner(process: Process, mark: bytes) -> None:
        await write_forever(process, line * (65_536 // len(line) or 1))

    async with host(open_agent, command=hang_after_report, scanner=scanner) as agent:
        tracemalloc.start()  # this slows down everything several times, including the fake host in this process
        try:
            outcome = await agent.run_and_cancel(1.0, grace=60, command="true")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcome.stats["terminated"] == "unverified"
    assert re.search("the search .* did not finish|the host did not answer in time", outcome.details)
    assert peak < 20_000_000


async def test_a_start_up_file_that_shows_the_command_line_is_not_taken_for_the_launcher(open_agent: Any) -> None:
    """Contract §3: '`stats.terminated` is `verified`': the launcher's report is found in other output."""

    async def command(process: Process, mark: bytes) -> None:
        process.stdout.write((process.command or "").encode() + b"\n")
        write_report(process, mark, words=f"{STAT}\n{locks_of(mark.decode())}\n\n")
        process.stdout.write(b"42\n")
        await asyncio.Event().wait()

    async def scanner(process: Process, mark: bytes) -> None:
        process.stdout.write(b"left\ndone\n")
        process.exit(0)

    async with host(open_agent, command=command, scanner=scanner) as agent:
        outcome = await agent.run_and_cancel(0.6, command="true")
    assert (outcome.value, outcome.stats["terminated"]) == ("42", "verified")
