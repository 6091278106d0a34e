"""Terminates every process that a run has started, and verifies that they have ended."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from attrs import frozen

from candy_bash import texts
from candy_bash.proc import Process, processes_with_variable, read_process
from candy_bash.subreaper import ProcessTree, Subreaper
from candy_core import Locale
from candy_kit_command import Termination

KILL_SECONDS = 2.0
"""How long KILL is repeated. Together with the grace period it must be less than the 5 s after cancellation."""
_MIN_PAUSE = 0.002
_MAX_PAUSE = 0.05
_MAX_NAMES = 10


@frozen
class TerminationResult:
    """Which processes were found alive, and whether all of them have ended."""

    found: tuple[Process, ...]
    termination: Termination


async def terminate(subreaper: Subreaper, tree: ProcessTree, locale: Locale, *, grace: float) -> TerminationResult:
    """Send TERM to every process of the run; after ``grace`` seconds send KILL repeatedly until none is left.

    One KILL is not enough: a shell whose child is killed first starts its next command. Meanwhile the run's first
    process is kept as a zombie.
    """
    loop = asyncio.get_running_loop()
    found: dict[tuple[int, int], Process] = {}
    _send(_living(subreaper, tree, found), signal.SIGTERM, tree)
    deadline = loop.time() + grace
    pause = _MIN_PAUSE
    while _living(subreaper, tree, found) and loop.time() < deadline:
        await asyncio.sleep(pause)
        pause = min(2 * pause, _MAX_PAUSE)
    left = await _kill(subreaper, tree, found)
    marked = await asyncio.to_thread(processes_with_variable, tree.marker)
    if any(process.alive for process in marked):
        # Outside of the tree, for example below another subreaper that has ended: only the marker is left.
        for process in marked:
            found.setdefault((process.pid, process.start), process)
        left = await _kill(subreaper, tree, found, marked)
    return TerminationResult(tuple(found.values()), _termination(subreaper, tree, left, locale))


def kill_now(subreaper: Subreaper, tree: ProcessTree) -> bool:
    """Send KILL once, without waiting; returns whether no process was left."""
    living = _living(subreaper, tree, {})
    _send(living, signal.SIGKILL, tree)
    return not living


def describe(processes: tuple[Process, ...] | list[Process]) -> str:
    """``sleep (123), sh (124)``."""
    listed = [f"{_printable(process.name)} ({process.pid})" for process in processes[:_MAX_NAMES]]
    return ", ".join(listed) + (" …" if len(processes) > _MAX_NAMES else "")


def _printable(name: str) -> str:
    return name if name.isprintable() else repr(name)


async def _kill(
    subreaper: Subreaper,
    tree: ProcessTree,
    found: dict[tuple[int, int], Process],
    more: list[Process] | None = None,
) -> list[Process]:
    """Send KILL until neither the tree nor ``more`` has a living process, or the time is up; returns what is left."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + KILL_SECONDS
    pause = _MIN_PAUSE
    empty_scans = 0
    left: list[Process] = []
    while loop.time() < deadline:
        left = _living(subreaper, tree, found) + [process for process in map(_still_alive, more or ()) if process]
        if not left:
            # One scan may miss a process, since the lists change while they are read. Two empty scans in a row cannot:
            # lists without an entry do not change.
            empty_scans += 1
            if empty_scans == 2:
                return []
            continue
        empty_scans = 0
        _send(left, signal.SIGKILL, tree)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _MAX_PAUSE)
    return left


def _still_alive(process: Process) -> Process | None:
    now = read_process(process.pid)
    return now if now is not None and now.start == process.start and now.alive else None


def _living(subreaper: Subreaper, tree: ProcessTree, found: dict[tuple[int, int], Process]) -> list[Process]:
    living = [process for process in subreaper.processes(tree) if process.alive]
    for process in living:
        found.setdefault((process.pid, process.start), process)
    return living


def _send(processes: list[Process], number: signal.Signals, tree: ProcessTree) -> None:
    """Signal whole groups first, which no fork escapes; all of them are in sessions that the run itself has created.

    For killpg(), 0 means the agent's own group and 1 every process of the host; neither can belong to a run.
    """
    own = os.getpgrp()
    groups = {process.group for process in processes if process.session in tree.sessions}
    for group in groups - {own}:
        if group <= 1:
            continue
        with suppress(OSError):
            os.killpg(group, number)
        if number is signal.SIGTERM:
            with suppress(OSError):
                os.killpg(group, signal.SIGCONT)  # a stopped process handles TERM only once it continues
    for process in processes:
        if process.session not in tree.sessions and process.pid > 1:
            _send_one(process, number)


def _send_one(process: Process, number: signal.Signals) -> None:
    """Signal through a pidfd, so that a new process that has got the same pid is never hit."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        if _still_alive(process) is not None:
            with suppress(OSError):
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def _termination(subreaper: Subreaper, tree: ProcessTree, left: list[Process], locale: Locale) -> Termination:
    if left:
        return Termination(False, texts.sentence(locale, texts.STILL_ALIVE, names=describe(left)))
    if not subreaper.active:
        return Termination(False, texts.sentence(locale, texts.NO_SUBREAPER))
    if orphans := subreaper.unattributed_orphans(tree):
        return Termination(False, texts.sentence(locale, texts.UNATTRIBUTED, names=describe(orphans)))
    return Termination(True)
