"""``sleep`` processes that a test can identify, and that must have ended when it ends."""

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
    """The ids of all processes whose command line is ``ours``, without zombies.

    Read from ``/proc``, independently of the agent's code.
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
    """Processes ``sleep SECONDS``, with a number that no other test uses. Calling it returns their ids."""

    seconds: str

    def __call__(self) -> list[int]:
        """See :func:`processes`."""
        return processes(lambda words: bool(words) and words[0].endswith("sleep") and self.seconds in words)

    async def started(self, count: int = 1) -> None:
        """Wait until there are at least ``count``."""
        await eventually(lambda: len(self()) >= count)


@contextmanager
def sleepers_gone() -> Iterator[Sleepers]:
    """A unique number of seconds. Raises ``AssertionError`` if a process is left at the end, and kills it."""
    made = Sleepers(f"3600.{secrets.randbelow(10**9):09d}")
    yield made
    left = made()
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"still alive at the end: {left}"
