"""Whether the event loop stands still: calls that block by their nature, and code that simply takes long."""

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

LONGEST = 0.25
"""Seconds that the loop may stand still. What is healthy stays below 0.05; a busy machine adds its own."""
_TICK = 0.01
_LOGGING = ("logging/__init__.py", "emit")
"""Where lines of a log end up is the application's choice, not the plugin's: pytest itself writes them to a file."""


@contextlib.contextmanager
def no_blocking(what: str, allowed: Sequence[tuple[str, str]] = ()) -> Iterator[None]:
    """Fail for every call within that blocks by its nature: files, sleeps, sockets, locks. Within a running loop only.

    The plugin is told by an exception, which it may well turn into an outcome; so each is also taken down here, and
    told before whatever else fails in consequence. ``allowed`` are the ends of files, and functions in them, that may.
    """
    places: list[str] = []
    original = BlockingError.__init__

    def taken_down(self: BlockingError, func: str) -> None:
        original(self, func)
        places.append(f"  {func} {_place(sys._getframe(1))}")

    buster = BlockBuster()
    for name, function in buster.functions.items():
        for file, its_function in (_LOGGING, *allowed):
            function.can_block_in(file, its_function)
        if name.startswith(("io.", "os.")):
            function.can_block_predicate = _or_of_the_kernel(function.can_block_predicate)
    with contextlib.ExitStack() as stack:
        BlockingError.__init__ = taken_down  # type: ignore[method-assign]  # the one place where all of them come by
        stack.callback(setattr, BlockingError, "__init__", original)
        buster.activate()
        stack.callback(buster.deactivate)
        try:
            yield
        except (Exception, pytest.fail.Exception):
            if not places:
                raise
    if places:
        fail(
            f"{what} blocked the event loop, which everybody shares:",
            *sorted(set(places))[:10],
            "Give what blocks to asyncio.to_thread, or use its asyncio counterpart.",
        )


@contextlib.asynccontextmanager
async def lag_watch() -> AsyncIterator[list[tuple[float, str]]]:
    """Each time meanwhile that the loop stood still for more than :data:`LONGEST`: how long, and where."""
    stood: list[tuple[float, str]] = []
    loop, ident, stop = asyncio.get_running_loop(), threading.get_ident(), threading.Event()
    last = [time.monotonic()]
    places: dict[float, str] = {}

    def tick() -> None:
        now = time.monotonic()
        if now - last[0] > LONGEST + _TICK:
            stood.append((now - last[0], places.get(last[0], "in code that could not be seen")))
        last[0] = now
        handles[0] = loop.call_later(_TICK, tick)

    def look() -> None:
        while not stop.wait(LONGEST / 4):
            seen = last[0]
            if time.monotonic() - seen > LONGEST * 0.75 and seen not in places:
                frame = sys._current_frames().get(ident)
                if frame is not None:
                    places[seen] = _place(frame)
                del frame  # it would keep alive what the loop works on

    handles = [loop.call_later(_TICK, tick)]
    thread = threading.Thread(target=look, name="lag-watch", daemon=True)
    thread.start()
    try:
        yield stood
        await asyncio.sleep(2 * _TICK)  # so that a stand-still at the very end is seen
    finally:
        handles[0].cancel()
        stop.set()
        thread.join()


def _or_of_the_kernel(allowed: Callable[..., bool]) -> Callable[..., bool]:
    """Below ``/proc`` and ``/sys`` there is no disk that could keep anybody waiting."""

    def predicate(*args: Any, **kwargs: Any) -> bool:
        name = getattr(args[0], "name", args[0]) if args else None
        if isinstance(name, int):  # a descriptor
            with contextlib.suppress(OSError):
                name = str(Path(f"/proc/self/fd/{name}").readlink())
        return str(name).startswith(("/proc/", "/sys/")) or allowed(*args, **kwargs)

    return predicate


_LIBRARY = (str(Path(asyncio.__file__).parent.parent), "<frozen")


def _place(innermost: FrameType) -> str:
    """The innermost place that is neither Python's own nor the watcher's, and what it was called from."""
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
    return "at " + ", called from ".join(shown) if shown else "at a place in Python itself"
