"""Processes that a test can tell from all others, and that must be gone at its end."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen


@frozen
class Sleepers:
    """Processes ``sleep SECONDS``: nobody else sleeps for so long. Called, it gives their ids, zombies left out."""

    seconds: str

    def __call__(self) -> list[int]:
        """Found in ``/proc``, with none of the means that the agent has."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if words[0].endswith(b"sleep") and self.seconds.encode() in words and state != "Z":
                found.append(int(folder.name))
        return found

    async def begun(self, count: int = 1, within: float = 20.0) -> None:
        """Wait until there are as many. Raises ``TimeoutError``."""
        async with asyncio.timeout(within):
            while len(self()) < count:  # noqa: ASYNC110  # nobody tells when a process begins
                await asyncio.sleep(0.02)


@contextmanager
def sleepers_gone() -> Iterator[Sleepers]:
    """A number of seconds that is nobody else's. Raises ``AssertionError`` if one is left at the end, and ends it."""
    made = Sleepers(f"3600.{secrets.randbelow(10**9):09d}")
    yield made
    left = made()
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"still alive at the end: {left}"
