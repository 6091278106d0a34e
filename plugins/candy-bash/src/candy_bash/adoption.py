"""Keeps everything in sight that a run starts, however it forks.

The agent is a subreaper: a process whose parent ends becomes a child of the agent, and of nobody else. So everything
that a command started is either a descendant of the command, or of a child that the agent has adopted.

Which run an adopted child comes from is told by what it inherited and did not choose. The environment is easily dropped
(``env -i``, sudo), a session left (``setsid``); a resource limit stays. RLIMIT_MSGQUEUE bounds POSIX message queues,
which next to no program uses: each run is given a limit of its own, a few bytes below what it would have had, and
``/proc/PID/limits`` shows it, for zombies too.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

from attrs import define, field

from candy_bash.proc import (
    Process,
    carries,
    descendants,
    leader_children,
    message_queue_limit,
    read_process,
)

_PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 60.0
"""Seconds after which nobody will ask after a zombie any more."""
_TAGS = 100_000
"""How many runs have different tags; more of them never run at one time."""


@define(eq=False)
class Lineage:
    """One run, as a family. ``pid`` is its first process, which stays a zombie until :meth:`Adoption.forget`."""

    tag: int | None
    variable: bytes
    pid: int = 0
    sessions: set[int] = field(factory=set)


class Adoption:
    """All runs of this process, and the children it has adopted.

    There is one for a process, whatever is opened in it and on whichever event loops: what one did not know of, it
    would take for something that a run of its own has left. :meth:`of_this_process` gives it.
    """

    @staticmethod
    def of_this_process() -> Adoption:
        """Makes the process a subreaper when it is first asked for. It reads files, and so may block for a moment."""
        return _adoption(os.getpid())

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._zombies: dict[tuple[int, int], float] = {}
        self._me = os.getpid()
        self._lock = threading.Lock()
        self._session = os.getsid(0)
        self._runs: dict[int, Lineage] = {}
        self._origins: dict[int, tuple[int, Lineage | None]] = {}
        self._by_children = leader_children(self._me) is not None
        soft, self._hard = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
        self._soft = soft
        self._top = (10**9 if soft == resource.RLIM_INFINITY else soft) - 1
        self._next = itertools.cycle(range(self._top, self._top - _TAGS, -1)) if self._top > _TAGS else None
        self._tags: dict[int, Lineage] = {}
        self.subreaper = _become_subreaper()

    def new(self, variable: bytes) -> Lineage:
        """A run that is about to start; ``variable`` is the mark in its environment, ``NAME=value``.

        :meth:`forget` it, also where nothing comes of it.
        """
        if self._next is None:
            return Lineage(None, variable)
        with self._lock:
            tag = next(tag for tag in self._next if tag not in self._tags)
            self._tags[tag] = lineage = Lineage(tag, variable)
            return lineage

    @contextmanager
    def tagging(self, lineage: Lineage) -> Iterator[None]:
        """What is forked within has the run's limit, and leaves no core files.

        Only soft limits of this process change, for as long as a fork takes; nothing may be awaited within. Another
        thread that forks at this very moment, into a session of its own, would have its child taken for the run's.
        """
        with self._lock:
            core = resource.getrlimit(resource.RLIMIT_CORE)
            try:
                resource.setrlimit(resource.RLIMIT_CORE, (0, core[1]))
                if lineage.tag is not None:
                    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (lineage.tag, self._hard))
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_CORE, core)
                if lineage.tag is not None:
                    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (self._soft, self._hard))

    def born(self, lineage: Lineage, pid: int) -> None:
        """The run has its first process, which leads a session of its own."""
        lineage.pid = pid
        lineage.sessions.add(pid)
        self._runs[pid] = lineage
        if lineage.tag is not None:
            # The hard limit as well: su and sudo put the soft one back, as pam_limits has it on Debian. Not before the
            # fork, as only CAP_SYS_RESOURCE could raise it again, and containers are without.
            with suppress(OSError):  # it may have become somebody else, or have ended
                resource.prlimit(pid, resource.RLIMIT_MSGQUEUE, (lineage.tag, lineage.tag))

    def forget(self, lineage: Lineage) -> None:
        """The run has ended, and its first process was reaped."""
        self._runs.pop(lineage.pid, None)
        if lineage.tag is not None:
            self._tags.pop(lineage.tag, None)

    def orphans(self, lineage: Lineage) -> list[Process]:
        """The adopted children that come from a run, the roots of whatever it has left. Reaps those that have ended."""
        return [process for process, origin in self._adopted() if origin is lineage]

    def strays(self, lineage: Lineage) -> list[Process]:
        """Adopted children of unknown origin that are no older than the run: they could be its own."""
        first = read_process(lineage.pid)
        since = 0 if first is None else first.start
        return [
            process
            for process, origin in self._adopted()
            if origin is None and (process.start >= since or process.hidden)
        ]

    def members(self, lineage: Lineage) -> list[Process]:
        """Every process of a run, its first one included."""
        roots = [lineage.pid, *(process.pid for process in self.orphans(lineage))]
        found = descendants(roots, by_children=self._by_children)
        # 0 and 1 are the sessions of what came before the agent: inside a container, of nobody that can be seen.
        lineage.sessions.update(
            process.session for process in found.values() if process.session > 1 and process.session != self._session
        )
        return list(found.values())

    def look_around(self) -> None:
        """Reap what has ended among the adopted, and end what comes from runs that are over.

        Orphans of other code in this process are adopted as well. Whoever started a child directly asks after it, so a
        zombie that nobody has asked after for :data:`PATIENCE` seconds is one of those, and is reaped too.
        """
        for orphan, origin in self._adopted():
            if origin is None and self._was_ours(orphan):
                with suppress(OSError):
                    os.kill(orphan.pid, signal.SIGKILL)
        now = self._clock()
        zombies: dict[tuple[int, int], float] = {}
        for pid in self._children():
            process = None if pid in self._runs else read_process(pid)
            if process is not None and not process.alive:
                key = (pid, process.start)
                zombies[key] = self._zombies.get(key, now)
                if now - zombies[key] >= PATIENCE:
                    _reap(pid)
        self._zombies = zombies

    def _adopted(self) -> Iterator[tuple[Process, Lineage | None]]:
        """Living adopted children, with the run each comes from. Children that other code started are left out."""
        children = self._children()
        for pid in set(self._origins).difference(children):
            self._origins.pop(pid, None)
        for pid in children:
            if pid in self._runs:
                continue
            process = read_process(pid)
            if process is None or process.session == self._session:
                continue  # the session that the agent is in is left by every command before it does anything
            origin = self._origin(process)
            if not process.alive:
                if origin is not None or self._was_ours(process):
                    _reap(pid)
                continue
            yield process, origin

    def _children(self) -> tuple[int, ...]:
        if self._by_children:
            return leader_children(self._me) or ()
        table = descendants([self._me], by_children=False)
        return tuple(pid for pid, process in table.items() if process.parent == self._me)

    def _origin(self, process: Process) -> Lineage | None:
        known = self._origins.get(process.pid)
        if known is not None and known[0] == process.start and known[1] is not None:
            return known[1] if known[1].pid in self._runs else None
        origin = self._tags.get(message_queue_limit(process.pid) or 0)
        if origin is None:
            for run in list(self._runs.values()):
                if process.session in run.sessions or carries(process.pid, run.variable):
                    origin = run
                    break
        self._origins[process.pid] = (process.start, origin)
        return origin

    def _was_ours(self, process: Process) -> bool:
        known = self._origins.get(process.pid)
        if known is not None and known[0] == process.start and known[1] is not None:
            return True
        limit = message_queue_limit(process.pid)
        return limit is not None and limit not in self._tags and self._top - _TAGS < limit <= self._top


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


@cache
def _adoption(pid: int) -> Adoption:
    """By pid, since a fork of the agent has no children yet."""
    return Adoption()


def _become_subreaper() -> bool:
    """Orphans among this process' descendants become its children from now on; for the life of the process."""
    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False
