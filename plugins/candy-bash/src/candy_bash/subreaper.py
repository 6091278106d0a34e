"""Keeps track of every process that a run starts, however it forks.

The agent is a subreaper: a process whose parent ends becomes a child of the agent and of no other process. So every
process that a command starts is a descendant either of the command or of an orphan that the agent has inherited.

An orphan's run is found by what the orphan inherited. A variable of the environment is easily dropped (``env -i``,
sudo), and a session is easily left (``setsid``), but a resource limit stays. RLIMIT_MSGQUEUE bounds POSIX message
queues, which almost no program uses. Each run gets a limit of its own, a few bytes below the agent's, as its tag, and
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

from candy_bash.proc import Process, descendants, has_variable, main_thread_children, message_queue_limit, read_process

_PR_SET_CHILD_SUBREAPER = 36
ZOMBIE_SECONDS = 60.0
"""Seconds after which a zombie that no code has waited for is reaped."""
_TAGS = 100_000
"""The number of different tags, more than the number of runs that can be active at once."""


@define(eq=False)
class ProcessTree:
    """The processes of one run. ``pid`` is the first one, which stays a zombie until :meth:`Subreaper.forget`.

    ``marker`` is the variable in their environment, as ``NAME=value``, and ``tag`` their limit of message queues.
    """

    tag: int | None
    marker: bytes
    pid: int = 0
    sessions: set[int] = field(factory=set)


class Subreaper:
    """The process trees of all runs in this process, and the orphans that it has inherited.

    There is one for each process (:meth:`of_this_process`), whatever is opened in it and on whichever event loop: two
    would take each other's processes for leftovers of their own runs.
    """

    @staticmethod
    def of_this_process() -> Subreaper:
        """The first call makes this process a subreaper. Reads files, so it may block for a moment."""
        return _subreaper(os.getpid())

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._zombies: dict[tuple[int, int], float] = {}
        self._own_pid = os.getpid()
        self._lock = threading.Lock()
        self._own_session = os.getsid(0)
        self._trees: dict[int, ProcessTree] = {}
        self._owners: dict[int, tuple[int, ProcessTree | None]] = {}
        self._has_children_file = main_thread_children(self._own_pid) is not None
        soft, self._hard = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
        self._soft = soft
        self._top_tag = (10**9 if soft == resource.RLIM_INFINITY else soft) - 1
        tags = range(self._top_tag, self._top_tag - _TAGS, -1)
        self._next_tag = itertools.cycle(tags) if self._top_tag > _TAGS else None
        self._tagged: dict[int, ProcessTree] = {}
        self.active = _become_subreaper()
        """Whether the kernel gives orphans to this process."""

    def register(self, marker: bytes) -> ProcessTree:
        """The tree of a run that is about to start. It must be forgotten (:meth:`forget`), even if the start fails."""
        if self._next_tag is None:
            return ProcessTree(None, marker)
        with self._lock:
            tag = next(tag for tag in self._next_tag if tag not in self._tagged)
            self._tagged[tag] = tree = ProcessTree(tag, marker)
            return tree

    @contextmanager
    def tagging(self, tree: ProcessTree) -> Iterator[None]:
        """A process forked in this block gets the tree's tag, and writes no core files.

        This changes soft limits of the agent itself for the time of a fork, so nothing may be awaited in the block. If
        another thread forks meanwhile, and the child starts a session of its own, it is mistaken for one of the run's.
        """
        with self._lock:
            core = resource.getrlimit(resource.RLIMIT_CORE)
            try:
                resource.setrlimit(resource.RLIMIT_CORE, (0, core[1]))
                if tree.tag is not None:
                    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (tree.tag, self._hard))
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_CORE, core)
                if tree.tag is not None:
                    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (self._soft, self._hard))

    def started(self, tree: ProcessTree, pid: int) -> None:
        """``pid`` is the run's first process. It leads a session of its own."""
        tree.pid = pid
        tree.sessions.add(pid)
        self._trees[pid] = tree
        if tree.tag is not None:
            # The hard limit too: with Debian's pam_limits, su and sudo reset the soft one. It is not lowered before the
            # fork, since only CAP_SYS_RESOURCE could raise it again, and containers run without that.
            with suppress(OSError):  # it may run as another user by now, or have ended
                resource.prlimit(pid, resource.RLIMIT_MSGQUEUE, (tree.tag, tree.tag))

    def forget(self, tree: ProcessTree) -> None:
        """The run has ended, and its first process has been reaped."""
        self._trees.pop(tree.pid, None)
        if tree.tag is not None:
            self._tagged.pop(tree.tag, None)

    def orphans(self, tree: ProcessTree) -> list[Process]:
        """The inherited children that belong to a run: the roots of what it left behind. Reaps those that ended."""
        return [process for process, owner in self._inherited() if owner is tree]

    def unattributed_orphans(self, tree: ProcessTree) -> list[Process]:
        """Inherited children whose run is unknown, and that are no older than this run: they may belong to it."""
        first = read_process(tree.pid)
        since = 0 if first is None else first.start
        return [
            process
            for process, owner in self._inherited()
            if owner is None and (process.start >= since or process.hidden)
        ]

    def processes(self, tree: ProcessTree) -> list[Process]:
        """Every process of a run, including the first one."""
        roots = [tree.pid, *(process.pid for process in self.orphans(tree))]
        found = descendants(roots, has_children_file=self._has_children_file)
        # Sessions 0 and 1 existed before the agent; in a container their processes cannot be seen from inside.
        tree.sessions.update(
            process.session
            for process in found.values()
            if process.session > 1 and process.session != self._own_session
        )
        return list(found.values())

    def reap(self) -> None:
        """Reap inherited children that have ended, and kill those that belong to runs that are over.

        Orphans of other code in this process are inherited as well. Code that starts a child directly waits for it, so
        a zombie that has not been waited for in :data:`ZOMBIE_SECONDS` is such an orphan, and is reaped too.
        """
        for orphan, owner in self._inherited():
            if owner is None and self._belonged_to_a_run(orphan):
                with suppress(OSError):
                    os.kill(orphan.pid, signal.SIGKILL)
        now = self._clock()
        zombies: dict[tuple[int, int], float] = {}
        for pid in self._children():
            process = None if pid in self._trees else read_process(pid)
            if process is not None and not process.alive:
                key = (pid, process.start)
                zombies[key] = self._zombies.get(key, now)
                if now - zombies[key] >= ZOMBIE_SECONDS:
                    _reap(pid)
        self._zombies = zombies

    def _inherited(self) -> Iterator[tuple[Process, ProcessTree | None]]:
        """Living inherited children, each with its run. Children that other code has started are left out."""
        children = self._children()
        for pid in set(self._owners).difference(children):
            self._owners.pop(pid, None)
        for pid in children:
            if pid in self._trees:
                continue
            process = read_process(pid)
            if process is None or process.session == self._own_session:
                continue  # every command leaves the agent's own session before it does anything
            owner = self._owner(process)
            if not process.alive:
                if owner is not None or self._belonged_to_a_run(process):
                    _reap(pid)
                continue
            yield process, owner

    def _children(self) -> tuple[int, ...]:
        if self._has_children_file:
            return main_thread_children(self._own_pid) or ()
        table = descendants([self._own_pid], has_children_file=False)
        return tuple(pid for pid, process in table.items() if process.parent == self._own_pid)

    def _owner(self, process: Process) -> ProcessTree | None:
        known = self._owners.get(process.pid)
        if known is not None and known[0] == process.start and known[1] is not None:
            return known[1] if known[1].pid in self._trees else None
        owner = self._tagged.get(message_queue_limit(process.pid) or 0)
        if owner is None:
            for tree in list(self._trees.values()):
                if process.session in tree.sessions or has_variable(process.pid, tree.marker):
                    owner = tree
                    break
        self._owners[process.pid] = (process.start, owner)
        return owner

    def _belonged_to_a_run(self, process: Process) -> bool:
        known = self._owners.get(process.pid)
        if known is not None and known[0] == process.start and known[1] is not None:
            return True
        limit = message_queue_limit(process.pid)
        return limit is not None and limit not in self._tagged and self._top_tag - _TAGS < limit <= self._top_tag


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


@cache
def _subreaper(pid: int) -> Subreaper:
    """Cached by pid, since a fork of the agent starts without children."""
    return Subreaper()


def _become_subreaper() -> bool:
    """From now on, and as long as this process lives, orphans among its descendants become its children."""
    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False
