"""The descendants of this process, read from ``/proc``."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_ZOMBIE = "Z"


@frozen(kw_only=True)
class Process:
    """One process. ``started``, in ticks since boot, distinguishes it from a later one with the same ``pid``."""

    pid: int
    started: int
    parent: int
    state: str
    name: str

    @property
    def zombie(self) -> bool:
        """Whether it has ended and has not been waited for."""
        return self.state == _ZOMBIE

    @property
    def command(self) -> str:
        """Its command line, or its name if that can no longer be read."""
        return self.read("cmdline").replace("\0", " ").strip() or self.name

    def read(self, file: str) -> str:
        """A file below ``/proc/<pid>``, ``""`` if it cannot be read."""
        try:
            return Path(f"/proc/{self.pid}/{file}").read_bytes().decode(errors="replace")
        except OSError:
            return ""


def descendants() -> dict[tuple[int, int], Process]:
    """Every descendant of this process, zombies included, by its pid and its start."""
    children: dict[int, list[Process]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (process := _process(int(entry.name))) is not None:
            children.setdefault(process.parent, []).append(process)
    found: dict[tuple[int, int], Process] = {}
    below = children.get(os.getpid(), [])
    while below:
        process = below.pop()
        found[process.pid, process.started] = process
        below += children.get(process.pid, [])
    return found


def _process(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes().decode(errors="replace")
    except OSError:
        return None
    # The name is in parentheses and may itself contain parentheses and spaces.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return Process(
        pid=pid, started=int(fields[19]), parent=int(fields[1]), state=fields[0], name=head.partition("(")[2]
    )


@contextlib.contextmanager
def subreaper(*, on: bool = True) -> Iterator[None]:
    """Become the parent of every descendant whose own parent ends, so that even a double fork stays visible.

    At the end adopted zombies are waited for. Without ``on`` this process is not a subreaper in the block.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = ctypes.c_int(0)
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    known = set(descendants())
    libc.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)
        for key, process in descendants().items():
            if process.zombie and process.parent == os.getpid() and key not in known:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)


def is_subreaper() -> bool:
    """Whether this process adopts orphans, so that a zombie child need not be its own."""
    flag = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(flag), 0, 0, 0)
    return bool(flag.value) or os.getpid() == 1
