"""Finds leaks: processes, descriptors, tasks, threads and files that did not exist before."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from candy_core.testing.executor.processes import Process, descendants, is_subreaper

POLL_INTERVAL = 0.02
"""Seconds between two checks."""


class Kind(StrEnum):
    """The kinds of leaks."""

    PROCESS = "process"
    DESCRIPTOR = "descriptor"
    TASK = "task"
    THREAD = "thread"
    FILE = "file"


IMMEDIATE = frozenset({Kind.PROCESS, Kind.THREAD, Kind.FILE})
"""What must be gone when an item ends. A connection, and a task that holds it, may be kept for the next item."""
ALL_KINDS = frozenset(Kind)

_ADVICE = {
    Kind.PROCESS: "kill what an item started, with all its descendants, and wait for it, in a finally",
    Kind.DESCRIPTOR: "close it in a finally, or hold it in an `async with`",
    Kind.TASK: "start tasks in an asyncio.TaskGroup, or cancel and await them in a finally",
    Kind.THREAD: "limit what a thread waits for: asyncio.to_thread cannot be canceled; shut your own pools down",
    Kind.FILE: "remove it in a finally, or use tempfile's context managers",
}


@frozen
class Snapshot:
    """What exists at one moment. The keys identify things, the values describe them."""

    things: Mapping[Kind, Mapping[object, str]]

    def new_since(self, before: Snapshot, kinds: frozenset[Kind]) -> list[tuple[Kind, str]]:
        """What exists here and did not exist ``before``."""
        return [
            (kind, what)
            for kind in Kind
            if kind in kinds
            for key, what in self.things[kind].items()
            if key not in before.things[kind]
        ]


def snapshot(folder: Path, not_ours: Callable[[Process], bool]) -> Snapshot:
    """What exists now. ``folder`` gets the temporary files. Call it inside the running loop."""
    return Snapshot(
        {
            Kind.PROCESS: _processes(not_ours),
            Kind.DESCRIPTOR: _descriptors(),
            Kind.TASK: {task: _task(task) for task in asyncio.all_tasks()},
            Kind.THREAD: _threads(asyncio.get_running_loop()),
            Kind.FILE: {str(path): str(path) for path in folder.rglob("*")},
        }
    )


class LeakCheck:
    """Remembers what exists, and later fails the test if something was added."""

    def __init__(self, folder: Path, not_ours: Callable[[Process], bool]) -> None:
        self._folder = folder
        self._not_ours = not_ours
        self._before = self._snapshot()

    def _snapshot(self) -> Snapshot:
        return snapshot(self._folder, self._not_ours)

    async def assert_no_leaks(self, after: str, kinds: frozenset[Kind] = ALL_KINDS, *, timeout: float = 1.0) -> None:
        """Fail if there are leaks of ``kinds`` after ``timeout`` seconds. ``after`` is for the message."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while left := self._snapshot().new_since(self._before, kinds):
            if loop.time() >= until:
                pytest.fail(_left(after, left), pytrace=False)
            await asyncio.sleep(POLL_INTERVAL)


def _left(after: str, left: list[tuple[Kind, str]]) -> str:
    shown = [f"  {kind}: {what}" for kind, what in left[:20]]
    if len(left) > 20:
        shown.append(f"  and {len(left) - 20} more")
    advice = [f"{kind}: {_ADVICE[kind]}." for kind in Kind if any(kind is one for one, _ in left)]
    return "\n".join([f"{after}, this was left behind:", *shown, *advice])


@contextlib.contextmanager
def runtime_warnings() -> Iterator[list[str]]:
    """Collect the warnings of Python and the loop: unclosed transports, exceptions that were never retrieved."""
    caught: list[str] = []
    loop = asyncio.get_running_loop()
    old_handler, old_hook = loop.get_exception_handler(), sys.unraisablehook

    def on_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        caught.append(f"the event loop: {context.get('message')} {context.get('exception') or ''}".rstrip())

    gc.collect()  # garbage of other tests must not count
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        loop.set_exception_handler(on_loop_error)
        sys.unraisablehook = lambda args: caught.append(f"{args.err_msg or 'an exception ignored'}: {args.exc_value!r}")
        try:
            yield caught
            gc.collect()
        finally:
            loop.set_exception_handler(old_handler)
            sys.unraisablehook = old_hook
    caught += [f"ResourceWarning: {each.message}" for each in warned if issubclass(each.category, ResourceWarning)]


def assert_no_warnings(caught: list[str]) -> None:
    """Fail if there were any."""
    if caught:
        lines = "\n".join(f"  {line}" for line in caught[:20])
        pytest.fail(
            f"Python warned of things that were not closed or not awaited:\n{lines}\n"
            "Close what you open in a finally or an `async with`, and await every task that you start.",
            pytrace=False,
        )


def _processes(not_ours: Callable[[Process], bool]) -> dict[object, str]:
    orphans = is_subreaper()
    return {
        key: f"{process.pid} {process.command}" + (" (a zombie: it was never waited for)" if process.zombie else "")
        for key, process in descendants().items()
        if not (process.zombie and orphans) and not not_ours(process)
    }


def _descriptors() -> dict[object, str]:
    found: dict[object, str] = {}
    ends = None
    for entry in list(Path("/proc/self/fd").iterdir()):
        name = entry.name
        with contextlib.suppress(OSError):  # closed since, such as the descriptor of the listing itself
            target = str(entry.readlink())
            if target.startswith("socket:"):
                ends = _sockets() if ends is None else ends
                inode = target.removeprefix("socket:[").removesuffix("]")
                found[name, target] = f"{name} {ends.get(inode, 'a socket')}"
            else:
                found[name, target] = f"{name} {target}"
    return found


def _sockets() -> dict[str, str]:
    """A description of each socket by its inode."""
    found = {}
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/self/net/{kind}").read_text().splitlines()[1:]:
                fields = line.split()
                found[fields[9]] = f"a {kind} socket from {_address(fields[1])} to {_address(fields[2])}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/net/unix").read_text().splitlines()[1:]:
            fields = line.split()
            found[fields[6]] = f"a unix socket {fields[7] if len(fields) > 7 else 'without a name'}"
    return found


def _address(text: str) -> str:
    host, _, port = text.partition(":")
    words = [int(host[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(host), 8)]
    return f"{ipaddress.ip_address(b''.join(words))}:{int(port, 16)}"


def _task(task: asyncio.Task[Any]) -> str:
    coroutine: Any = task.get_coro()
    frames = task.get_stack(limit=1)
    where = f" at {frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else ""
    return f"{task.get_name()} running {getattr(coroutine, '__qualname__', coroutine)}{where}"


def _threads(loop: asyncio.AbstractEventLoop) -> dict[object, str]:
    """Threads, without idle workers of the loop's own pool, which stay for later calls."""
    pool: Any = getattr(loop, "_default_executor", None)
    workers = set(getattr(pool, "_threads", ()))
    frames = sys._current_frames()
    found: dict[object, str] = {}
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is None:
            continue
        where = f"{thread.name} at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        if thread not in workers:
            found[thread.ident] = where
        elif frame.f_code.co_name != "_worker":
            found[thread.ident, "busy"] = f"{where} (still busy for asyncio.to_thread or run_in_executor)"
    del frames  # they would keep objects of the threads alive
    return found
