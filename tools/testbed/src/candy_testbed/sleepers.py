"""Processes that a test can tell from all others, and that must be gone at its end."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

from candy_testbed.waiting import eventually


def processes(ours: Callable[[Sequence[str]], bool]) -> list[int]:
    """The ids of all processes whose command line is ``ours``, zombies left out.

    Found in ``/proc``, with none of the means that the agent has.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text(errors="replace").split("\0")[:-1]
            state = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and ours(words):
            found.append(int(folder.name))
    return found


@frozen
class Sleepers:
    """Processes ``sleep SECONDS``: nobody else sleeps for so long. Called, it gives their ids."""

    seconds: str

    def __call__(self) -> list[int]:
        """See :func:`processes`."""
        return processes(lambda words: bool(words) and words[0].endswith("sleep") and self.seconds in words)

    async def started(self, count: int = 1) -> None:
        """Wait until there are as many."""
        await eventually(lambda: len(self()) >= count)


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
