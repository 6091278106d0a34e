"""Detects a blocked event loop: calls that block by their nature, and code that takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from blockbuster import BlockBuster, BlockingError

from candy_core.testing.executor.call import fail

MAX_STALL = 0.25
"""Seconds that the loop may be blocked. Healthy code stays below 0.05; a busy machine adds to it."""
_TICK = 0.01
_LOGGING = ("logging/__init__.py", "emit")
"""The application decides where log lines go, not the plugin: pytest writes them to a file."""


@contextlib.contextmanager
def assert_no_blocking(what: str, allowed: Sequence[tuple[str, str]] = ()) -> Iterator[None]:
    """Fail for every call that blocks by its nature: files, sleeps, sockets, locks. Only inside a running loop.

    The plugin gets an exception, which it may turn into an outcome. So each call is recorded as well, and reported
    before any other failure that follows from it. ``allowed`` are pairs of a file's ending and a function in it.
    """
    calls: list[str] = []
    original = BlockingError.__init__

    def recorded(self: BlockingError, func: str) -> None:
        original(self, func)
        calls.append(f"  {func} {_location(sys._getframe(1))}")

    buster = BlockBuster()
    for name, function in buster.functions.items():
        for file, its_function in (_LOGGING, *allowed):
            function.can_block_in(file, its_function)
        if name.startswith(("io.", "os.")):
            function.can_block_predicate = _or_kernel_file(function.can_block_predicate)
    with contextlib.ExitStack() as stack:
        BlockingError.__init__ = recorded  # type: ignore[method-assign]  # every blocking call creates one
        stack.callback(setattr, BlockingError, "__init__", original)
        buster.activate()
        stack.callback(buster.deactivate)
        try:
            yield
        except (Exception, pytest.fail.Exception):
            if not calls:
                raise
    if calls:
        fail(
            f"{what} blocked the event loop, which all plugins share:",
            *sorted(set(calls))[:10],
            "Use asyncio.to_thread for blocking calls, or their asyncio counterparts.",
        )


@contextlib.asynccontextmanager
async def lag_watch() -> AsyncIterator[list[tuple[float, str]]]:
    """Collect each time that the loop was blocked for more than :data:`MAX_STALL`: how long, and where."""
    stalls: list[tuple[float, str]] = []
    loop, ident, stop = asyncio.get_running_loop(), threading.get_ident(), threading.Event()
    last = [time.monotonic()]
    frames: dict[float, str] = {}

    def tick() -> None:
        now = time.monotonic()
        if now - last[0] > MAX_STALL + _TICK:
            stalls.append((now - last[0], frames.get(last[0], "in unknown code")))
        last[0] = now
        handles[0] = loop.call_later(_TICK, tick)

    def sample() -> None:
        while not stop.wait(MAX_STALL / 4):
            seen = last[0]
            if time.monotonic() - seen > MAX_STALL * 0.75 and seen not in frames:
                frame = sys._current_frames().get(ident)
                if frame is not None:
                    frames[seen] = _location(frame)
                del frame  # it would keep objects of the loop alive

    handles = [loop.call_later(_TICK, tick)]
    thread = threading.Thread(target=sample, name="lag-watch", daemon=True)
    thread.start()
    try:
        yield stalls
        await asyncio.sleep(2 * _TICK)  # so that a stall at the very end counts
    finally:
        handles[0].cancel()
        stop.set()
        thread.join()


def _or_kernel_file(allowed: Callable[..., bool]) -> Callable[..., bool]:
    """Files in ``/proc`` and ``/sys`` are not on a disk and do not block."""

    def predicate(*args: Any, **kwargs: Any) -> bool:
        name = getattr(args[0], "name", args[0]) if args else None
        if isinstance(name, int):  # a descriptor
            with contextlib.suppress(OSError):
                name = str(Path(f"/proc/self/fd/{name}").readlink())
        return str(name).startswith(("/proc/", "/sys/")) or allowed(*args, **kwargs)

    return predicate


_LIBRARY = (str(Path(asyncio.__file__).parent.parent), "<frozen")


def _location(innermost: FrameType) -> str:
    """The innermost frames that belong neither to Python's library nor to this module."""
    shown: list[str] = []
    frame: Any = innermost
    for frame, line in traceback.walk_stack(innermost):
        file = frame.f_code.co_filename
        inside = Path(file).parent == Path(__file__).parent
        installed = "site-packages" in file
        if "blockbuster" in file or inside or (file.startswith(_LIBRARY) and not installed):
            continue
        shown.append(f"{file}:{line} in {frame.f_code.co_name}")
        if len(shown) == 3:
            break
    return "at " + ", called from ".join(shown) if shown else "in Python itself"
