"""Waiting by polling, for conditions without an event."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, overload

T = TypeVar("T")

LONG = 60.0
"""Seconds after which a condition is taken as failed, even on a very busy machine."""


@overload
async def eventually(ask: Callable[[], Awaitable[T | None]], within: float = LONG) -> T: ...


@overload
async def eventually(ask: Callable[[], T | None], within: float = LONG) -> T: ...


async def eventually(ask: Callable[[], Any], within: float = LONG) -> Any:
    """The first true value that ``ask`` returns; it may be a coroutine function.

    Raises ``AssertionError`` after ``within`` seconds. It is no measure of speed: nothing that is right fails by it.
    """
    deadline = time.monotonic() + within
    while True:
        found = ask()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within:g} s it was still {found!r}: {_source(ask)}")
        await asyncio.sleep(0.005)


@contextmanager
def busy_seconds() -> Iterator[Callable[[], float]]:
    """A clock for promises of how long something takes at most: the processor time that a busy process has had so far.

    On a machine with nothing else to do that is the time that has passed. The more there is to do, the slower it goes,
    as everything else does.
    """
    spin = ["sh", "-c", "while kill -0 $PPID; do :; done"]  # and ends with its parent
    with subprocess.Popen(spin, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield lambda: _processor_seconds(process.pid)
        finally:
            process.kill()


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _source(ask: Callable[[], object]) -> str:
    """The lines that define it."""
    try:
        return inspect.getsource(ask).strip()
    except (OSError, TypeError):
        return repr(ask)
