"""One command on one connection, from its start to its end, whatever that end is."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import asyncssh
from attrs import define, field, frozen

from candy_core import Logger
from candy_kit_command import Capture, Command, CommandParams, Finished, Termination, stdout_capture
from candy_ssh.failures import reason_of
from candy_ssh.session import CommandSession, LinesSession
from candy_ssh.walker import launch_line, stop_line, watch_line

T = TypeVar("T")

WATCH_AFTER = 0.25
"""Seconds until a command is watched: most have ended by then."""
WATCH_WITHOUT_AFTER = 0.0
"""The same where the other side cannot set the mark that nothing drops."""
_FULL_PAUSES = (0.1, 0.2, 0.4)
LINGER = 1.0
"""Seconds without output, after the command has exited, until what still holds its streams is ended."""
MOST_LINGER = 5.0
STOP_SECONDS = 3.5
"""For ending what was started: the core waits for 5 s."""
TELL_SECONDS = 1.25
"""Of these, for what was to become the command, and was not told to, to end: a busy host does nothing at once."""
UNFINISHED = Termination(False, "the host did not answer in time")

Fresh = Callable[[], AbstractAsyncContextManager[asyncssh.SSHClientConnection]]
"""Another connection to the same host, for ending a run whose own is broken or full."""


class Broken(Exception):
    """The connection was lost while the command ran; ``finished`` is what had been seen of it."""

    def __init__(self, finished: Finished) -> None:
        super().__init__("the connection was lost while the command ran")
        self.finished = finished


class Refused(Exception):
    """The server opens no session, or starts no command. ``stale``: the connection itself was gone by then."""

    def __init__(self, why: str, *, stale: bool = False) -> None:
        super().__init__(why)
        self.stale = stale


@frozen(kw_only=True)
class Ended:
    """How a run ended; ``canceled``: because somebody asked for it."""

    finished: Finished
    canceled: bool = False


@define(kw_only=True)
class CommandRun:
    """One run of one command. :meth:`run` is called once."""

    connection: asyncssh.SSHClientConnection
    fresh: Fresh
    command: Command
    params: CommandParams
    limit: int
    open_timeout: float
    logger: Logger
    _mark: str = field(factory=lambda: secrets.token_hex(16), repr=False)
    _watch: LinesSession | None = field(default=None, repr=False)

    async def run(self) -> Ended:
        """Run it. A cancellation ends everything that it started, and is swallowed: the outcome tells of it.

        Raises :class:`Broken` and :class:`Refused`.
        """
        stdout, stderr = stdout_capture(self.params, self.limit), Capture(self.limit)
        session = CommandSession(self._mark, stdout, stderr, self.limit)
        stopped: Termination | None = None
        canceled = False
        try:
            await self._start(session)
            await self._attend(session)
            unseen = session.exit_code is None and session.signal is None
            if unseen or not session.closed.is_set():  # the connection is lost, or somebody still holds the streams
                stopped = await within(STOP_SECONDS, self._stop(session), UNFINISHED)
        except asyncio.CancelledError:
            if session.channel is None:
                raise
            canceled = True
            stopped = await within(STOP_SECONDS, self._stop(session), UNFINISHED)
        finally:
            for each in (self._watch, session):
                if each is not None and each.channel is not None:
                    each.channel.close()
        finished = Finished(
            exit_code=session.exit_code,
            signal=_signal_number(session.signal),
            stdout=stdout.finish(),
            stderr=stderr.finish(),
            stopped=stopped,
        )
        if not canceled and unseen:
            raise Broken(finished)
        return Ended(finished=finished, canceled=canceled)

    async def _start(self, session: CommandSession) -> None:
        shell = self.command.shell
        argv = self.command.argv if shell is None else ("sh", "-c", shell)
        line = launch_line(argv, self._mark, plain_words=shell is None)
        for pause in (*_FULL_PAUSES, None):
            try:
                async with asyncio.timeout(self.open_timeout):
                    await self.connection.create_session(lambda: session, line, encoding=None, request_pty=False)
                return
            except TimeoutError:
                raise Refused(f"no session within {self.open_timeout:g} s", stale=session.channel is None) from None
            except (asyncssh.Error, OSError) as error:
                # A server with no room for a session may have some as soon as another has ended.
                full = isinstance(error, asyncssh.ChannelOpenError) and not self.connection.is_closed()
                if pause is None or not full or session.channel is not None:
                    stale = session.channel is None and self.connection.is_closed()
                    raise Refused(reason_of(error), stale=stale) from None
            await asyncio.sleep(pause)

    async def _attend(self, session: CommandSession) -> None:
        """Wait for the end, and watch what the command starts."""
        if not await set_within(session.told, WATCH_AFTER) or not await set_within(
            session.closed, WATCH_AFTER if session.traces.lasting else WATCH_WITHOUT_AFTER
        ):
            await session.told.wait()
            if not session.closed.is_set():
                await self._begin_watch(session)
        await session.exited.wait()
        loop = asyncio.get_running_loop()
        last = loop.time() + MOST_LINGER
        while not session.closed.is_set() and loop.time() < last:
            before = session.received
            if not await set_within(session.closed, LINGER) and session.received == before:
                return

    async def _begin_watch(self, session: CommandSession) -> None:
        traces = session.traces
        watch = LinesSession(traces.add)
        line = watch_line(self._mark, traces.since, traces.pipes, traces.entries())
        self._watch = watch
        try:
            await self.connection.create_session(lambda: watch, line, encoding=None, request_pty=False)
        except (asyncssh.Error, OSError) as error:
            self.logger.info("ssh.not_watched", why=reason_of(error))

    async def _stop(self, session: CommandSession) -> Termination:
        """End everything that the run started. Takes half a second, and never much more than :data:`STOP_SECONDS`."""
        withheld = not session.begun
        if withheld:
            session.withhold()
            if await set_within(session.closed, TELL_SECONDS):
                return Termination(True)
        if self._watch is not None and self._watch.channel is not None:
            self._watch.channel.close()
        try:
            lines = await self._walk(self.connection, session)
        except (asyncssh.Error, OSError) as error:
            self.logger.info("ssh.stopping_over_another_connection", why=reason_of(error))
            try:
                async with self.fresh() as connection:
                    lines = await self._walk(connection, session)
            except Exception as again:  # noqa: BLE001  # whatever it is, the processes are not known to be gone
                return Termination(False, f"the host could not be asked: {reason_of(again)}")
        # Its last words, now that nobody holds its streams; or the late end of what was not told to begin.
        closed = await set_within(session.closed, 0.2)
        return Termination(True) if withheld and closed else session.traces.termination(lines)

    async def _walk(self, connection: asyncssh.SSHClientConnection, session: CommandSession) -> list[str]:
        lines: list[str] = []
        traces = session.traces
        walk = LinesSession(lambda line: lines.append(line) if len(lines) < 1000 else None)
        line = stop_line(self._mark, traces.since, traces.pipes, traces.entries())
        try:
            channel, _ = await connection.create_session(lambda: walk, line, encoding=None, request_pty=False)
            channel.write_eof()
            await walk.closed.wait()
        finally:
            if walk.channel is not None:
                walk.channel.close()
        return lines


async def within(seconds: float, work: Coroutine[Any, Any, T], late: T) -> T:
    """What ``work`` gives, or ``late`` after ``seconds``. Works in a task that is being cancelled, too."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        return task.result() if task.done() else late
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.5)


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but not longer."""
    try:
        async with asyncio.timeout(seconds):  # wait_for may lose a cancel that comes together with the event
            await event.wait()
    except TimeoutError:
        return False
    return True


def _signal_number(name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return int(signal.Signals[f"SIG{name.partition('@')[0]}"])
    except KeyError:
        return 0
