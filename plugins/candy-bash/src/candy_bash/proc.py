"""Reads processes from ``/proc``. No function fails because a process has ended.

``OSError`` is raised when descriptors or memory run out: a failed read must not look like "no processes found".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator

from attrs import frozen

DEAD = frozenset("ZXx")
"""States of processes that have ended. A zombie (``Z``) has not been reaped yet."""

HIDDEN = "?"

_GONE_OR_HIDDEN = (errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM)


@frozen
class Process:
    """A process at one moment. ``start`` is in clock ticks since boot; together with the pid it is unique."""

    pid: int
    start: int
    parent: int
    group: int
    session: int
    state: str
    name: str

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.state not in DEAD

    @property
    def hidden(self) -> bool:
        """Whether only its existence is known."""
        return self.state == HIDDEN


def read_process(pid: int) -> Process | None:
    """The process with this pid, ``None`` if there is none.

    It is ``hidden`` if it may not be read: a process of another user where ``/proc`` is mounted with hidepid.
    """
    stat = _read(f"/proc/{pid}/stat")
    head, _, tail = stat.rpartition(b") ")  # a process chooses its own name, which may contain parentheses and newlines
    fields = tail.split()
    if len(fields) < 20 or int(fields[3]) < 0:  # the process is going away
        return Process(pid, 0, 0, 0, 0, HIDDEN, "?") if not stat and _belongs_to_another_user(pid) else None
    return Process(
        pid=pid,
        start=int(fields[19]),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        state=fields[0].decode("ascii", "replace"),
        name=head.partition(b"(")[2].decode("utf-8", "replace"),
    )


def main_thread_children(pid: int) -> tuple[int, ...] | None:
    """The children of a process' main thread, which inherits orphans; ``None`` if this kernel has no such file."""
    try:
        descriptor = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _pids(_read_all(descriptor))
    finally:
        os.close(descriptor)


def descendants(roots: Iterable[int], *, has_children_file: bool) -> dict[int, Process]:
    """The processes ``roots`` and all their descendants, by pid.

    With ``has_children_file`` only these processes are read, otherwise all processes are read.
    """
    found: dict[int, Process] = {}
    table = None if has_children_file else _by_parent()
    pending = list(roots)
    while pending:
        pid = pending.pop()
        if pid in found:
            continue
        process = read_process(pid)
        if process is None:
            continue
        found[pid] = process
        pending += _children(pid) if table is None else table.get(pid, ())
    return found


def message_queue_limit(pid: int) -> int | None:
    """The soft limit RLIMIT_MSGQUEUE of a process, even a zombie; ``None`` if it is unreadable or unlimited."""
    for line in _read(f"/proc/{pid}/limits").splitlines():
        if line.startswith(b"Max msgqueue size"):
            soft = line.split()[3]
            return int(soft) if soft.isdigit() else None
    return None


def has_variable(pid: int, variable: bytes) -> bool:
    """Whether a process was started with ``NAME=value`` in its environment."""
    return variable in _read(f"/proc/{pid}/environ").split(b"\0")


def processes_with_variable(variable: bytes) -> list[Process]:
    """All processes of this host that were started with ``NAME=value`` in their environment. Reads all of ``/proc``."""
    return [found for pid in _all_pids() if has_variable(pid, variable) and (found := read_process(pid)) is not None]


def _children(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  # names are enough, and this runs often
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return
    for thread in threads:
        yield from _pids(_read(f"/proc/{pid}/task/{thread}/children"))


def _by_parent() -> dict[int, list[int]]:
    table: dict[int, list[int]] = {}
    for pid in _all_pids():
        process = read_process(pid)
        if process is not None:
            table.setdefault(process.parent, []).append(pid)
    return table


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208  # see above


def _belongs_to_another_user(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False


def _pids(text: bytes) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read_all(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _GONE_OR_HIDDEN:
            return b""
        raise


def _read_all(descriptor: int) -> bytes:
    data = os.read(descriptor, 65_536)
    if len(data) < 2048:  # a read of /proc may be short, but only at the end of a page
        return data
    pieces = [data]
    while data := os.read(descriptor, 65_536):
        pieces.append(data)
    return b"".join(pieces)
