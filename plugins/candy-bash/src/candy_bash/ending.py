"""Ends whatever a run has started, and knows whether that is so."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from attrs import frozen

from candy_bash import texts
from candy_bash.adoption import Adoption, Lineage
from candy_bash.proc import Process, carriers, read_process
from candy_core import Locale
from candy_kit_command import Termination

KILL_SECONDS = 2.0
"""How long KILL is sent again and again. With the grace before it, less than an executor has after a cancel."""
_SHORT = 0.002
_LONG = 0.05
_NAMED = 10


@frozen
class Ended:
    """What came of it: which processes were found alive, and whether all are gone."""

    found: tuple[Process, ...]
    termination: Termination


async def end(adoption: Adoption, lineage: Lineage, locale: Locale, *, grace: float) -> Ended:
    """TERM to every process of the run, after ``grace`` seconds KILL, again and again until none is left.

    Once is not enough: a shell whose child was killed first starts its next command. The run's first process stays a
    zombie meanwhile.
    """
    loop = asyncio.get_running_loop()
    found: dict[tuple[int, int], Process] = {}
    _send(_living(adoption, lineage, found), signal.SIGTERM, lineage)
    until = loop.time() + grace
    pause = _SHORT
    while _living(adoption, lineage, found) and loop.time() < until:
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONG)
    left = await _kill(adoption, lineage, found)
    marked = await asyncio.to_thread(carriers, lineage.variable)
    if any(process.alive for process in marked):
        # Beyond every lineage, as under a subreaper of its own that has ended: the mark is all that is left.
        for process in marked:
            found.setdefault((process.pid, process.start), process)
        left = await _kill(adoption, lineage, found, marked)
    return Ended(tuple(found.values()), _termination(adoption, lineage, left, locale))


def kill_now(adoption: Adoption, lineage: Lineage) -> bool:
    """One round of KILL, without waiting for anything; whether there was nobody left to kill."""
    living = _living(adoption, lineage, {})
    _send(living, signal.SIGKILL, lineage)
    return not living


def names(processes: tuple[Process, ...] | list[Process]) -> str:
    """``sleep (123), sh (124)``."""
    listed = [f"{_plain(process.name)} ({process.pid})" for process in processes[:_NAMED]]
    return ", ".join(listed) + (" …" if len(processes) > _NAMED else "")


def _plain(name: str) -> str:
    return name if name.isprintable() else repr(name)


async def _kill(
    adoption: Adoption,
    lineage: Lineage,
    found: dict[tuple[int, int], Process],
    more: list[Process] | None = None,
) -> list[Process]:
    loop = asyncio.get_running_loop()
    until = loop.time() + KILL_SECONDS
    pause = _SHORT
    clean = 0
    left: list[Process] = []
    while loop.time() < until:
        left = _living(adoption, lineage, found) + [process for process in map(_again, more or ()) if process]
        if not left:
            # A look at lists that change while they are read may miss one; two looks in a row at lists that hold
            # nothing have nothing to miss.
            clean += 1
            if clean == 2:
                return []
            continue
        clean = 0
        _send(left, signal.SIGKILL, lineage)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONG)
    return left


def _again(process: Process) -> Process | None:
    now = read_process(process.pid)
    return now if now is not None and now.start == process.start and now.alive else None


def _living(adoption: Adoption, lineage: Lineage, found: dict[tuple[int, int], Process]) -> list[Process]:
    living = [process for process in adoption.members(lineage) if process.alive]
    for process in living:
        found.setdefault((process.pid, process.start), process)
    return living


def _send(processes: list[Process], number: signal.Signals, lineage: Lineage) -> None:
    """First to whole groups, which no fork escapes; all of them are in sessions that the run itself has made.

    To killpg(), 0 is the agent's own group, and 1 every process there is: neither can be a run's.
    """
    own = os.getpgrp()
    groups = {process.group for process in processes if process.session in lineage.sessions}
    for group in groups - {own}:
        if group <= 1:
            continue
        with suppress(OSError):
            os.killpg(group, number)
        if number is signal.SIGTERM:
            with suppress(OSError):
                os.killpg(group, signal.SIGCONT)  # a stopped process would take TERM only when it goes on
    for process in processes:
        if process.session not in lineage.sessions and process.pid > 1:
            _send_one(process, number)


def _send_one(process: Process, number: signal.Signals) -> None:
    """Through a pidfd, so that nobody is hit who has come to the number since."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        if _again(process) is not None:
            with suppress(OSError):
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def _termination(adoption: Adoption, lineage: Lineage, left: list[Process], locale: Locale) -> Termination:
    if left:
        return Termination(False, texts.sentence(locale, texts.STILL_THERE, names=names(left)))
    if not adoption.subreaper:
        return Termination(False, texts.sentence(locale, texts.NO_SUBREAPER))
    if strays := adoption.strays(lineage):
        return Termination(False, texts.sentence(locale, texts.STRAYS, names=names(strays)))
    return Termination(True)
