"""One run of a command over one connection, from its start until all of its processes have ended."""

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
from candy_kit_command import Capture, Command, CommandParams, CommandResult, Termination, stdout_capture
from candy_ssh.failures import cause_of
from candy_ssh.remote_scripts import launch_line, stop_line, watch_line
from candy_ssh.session import CommandSession, LinesSession

T = TypeVar("T")

WATCH_AFTER = 0.25
"""Seconds after which the scanner starts to watch a command. Most commands have ended by then."""
WATCH_WITHOUT_LOCKS_AFTER = 0.0
"""The same on hosts whose shell cannot set the limit of file locks, which is the marker that is never dropped."""
_RETRY_PAUSES = (0.1, 0.2, 0.4)
LINGER = 1.0
"""Seconds without output, after the command has exited, until processes that still hold its streams are terminated."""
MAX_LINGER = 5.0
STOP_SECONDS = 3.5
"""For terminating all processes of a run. The core waits for 5 s."""
EXIT_SECONDS = 1.25
"""How much of these a launcher that may not start its command has to exit: a busy host takes its time."""
UNFINISHED = Termination(False, "the host did not answer in time")

Fresh = Callable[[], AbstractAsyncContextManager[asyncssh.SSHClientConnection]]
"""Opens another connection to the same host, to stop a run whose own connection is lost or has no free session."""


class ConnectionLost(Exception):
    """The connection was lost while the command ran; ``command_result`` is what is known of the command."""

    def __init__(self, command_result: CommandResult) -> None:
        super().__init__("the connection was lost while the command ran")
        self.command_result = command_result


class CommandNotStarted(Exception):
    """The server opened no session or started no command. ``stale``: because the connection was dead."""

    def __init__(self, why: str, *, stale: bool = False) -> None:
        super().__init__(why)
        self.stale = stale


@frozen(kw_only=True)
class RunResult:
    """The result of a run, and whether the run was canceled."""

    command_result: CommandResult
    canceled: bool = False


def start_line(command: Command, marker: str) -> str:
    """The command line that starts a command. It is also what limits the command's length."""
    return launch_line(command.argv_for("sh"), marker, plain_words=command.shell is None)


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
    _marker: str = field(factory=lambda: secrets.token_hex(16), repr=False)
    _watch: LinesSession | None = field(default=None, repr=False)

    async def run(self) -> RunResult:
        """Run the command. Cancellation terminates all that it started, and is reported only in the result.

        Raises :class:`ConnectionLost` and :class:`CommandNotStarted`.
        """
        stdout, stderr = stdout_capture(self.params, self.limit), Capture(self.limit)
        session = CommandSession(self._marker, stdout, stderr, self.limit)
        termination: Termination | None = None
        canceled = False
        try:
            await self._start(session)
            await self._wait(session)
            end_unknown = session.exit_code is None and session.signal is None
            if end_unknown or not session.closed.is_set():  # a lost connection, or a process that holds the streams
                termination = await within(STOP_SECONDS, self._stop(session), UNFINISHED)
        except asyncio.CancelledError:
            if session.channel is None:
                raise
            canceled = True
            termination = await within(STOP_SECONDS, self._stop(session), UNFINISHED)
        finally:
            for each in (self._watch, session):
                if each is not None and each.channel is not None:
                    each.channel.close()
        result = CommandResult(
            exit_code=session.exit_code,
            signal=_signal_number(session.signal),
            stdout=stdout.finish(),
            stderr=stderr.finish(),
            termination=termination,
        )
        if not canceled and end_unknown:
            raise ConnectionLost(result)
        return RunResult(command_result=result, canceled=canceled)

    async def _start(self, session: CommandSession) -> None:
        line = start_line(self.command, self._marker)
        for pause in (*_RETRY_PAUSES, None):
            try:
                async with asyncio.timeout(self.open_timeout):
                    await self.connection.create_session(lambda: session, line, encoding=None, request_pty=False)
                return
            except TimeoutError:
                why = f"no session within {self.open_timeout:g} s"
                raise CommandNotStarted(why, stale=session.channel is None) from None
            except (asyncssh.Error, OSError) as error:
                # A server that is at its limit of sessions may allow one as soon as another has ended.
                full = isinstance(error, asyncssh.ChannelOpenError) and not self.connection.is_closed()
                if pause is None or not full or session.channel is not None:
                    stale = session.channel is None and self.connection.is_closed()
                    raise CommandNotStarted(cause_of(error), stale=stale) from None
            await asyncio.sleep(pause)

    async def _wait(self, session: CommandSession) -> None:
        """Wait for the end of the command and of its streams, and watch the processes that it starts."""
        if not await wait_for_event(session.launched, WATCH_AFTER) or not await wait_for_event(
            session.closed, WATCH_AFTER if session.processes.has_locks_marker else WATCH_WITHOUT_LOCKS_AFTER
        ):
            await session.launched.wait()
            if not session.closed.is_set():
                await self._start_watch(session)
        await session.exited.wait()
        loop = asyncio.get_running_loop()
        last = loop.time() + MAX_LINGER
        while not session.closed.is_set() and loop.time() < last:
            before = session.received
            if not await wait_for_event(session.closed, LINGER) and session.received == before:
                return

    async def _start_watch(self, session: CommandSession) -> None:
        processes = session.processes
        watch = LinesSession(processes.add)
        line = watch_line(self._marker, processes.since, processes.pipes, processes.entries())
        self._watch = watch
        try:
            await self.connection.create_session(lambda: watch, line, encoding=None, request_pty=False)
        except (asyncssh.Error, OSError) as error:
            self.logger.info("ssh_watch_failed", error=cause_of(error))

    async def _stop(self, session: CommandSession) -> Termination:
        """Terminate every process of the run. Takes about 0.5 s, and never much more than :data:`STOP_SECONDS`."""
        not_started = not session.started
        if not_started:
            session.prevent_start()
            if await wait_for_event(session.closed, EXIT_SECONDS):
                return Termination(True)
        if self._watch is not None and self._watch.channel is not None:
            self._watch.channel.close()
        try:
            lines = await self._scan_and_stop(self.connection, session)
        except (asyncssh.Error, OSError) as error:
            self.logger.info("ssh_stop_retried", error=cause_of(error))
            try:
                async with self.fresh() as connection:
                    lines = await self._scan_and_stop(connection, session)
            except Exception as again:  # noqa: BLE001  # whatever the cause, the processes may still be alive
                return Termination(False, f"the host could not be reached: {cause_of(again)}")
        # The last output, now that no process holds the streams; or the late exit of a launcher.
        closed = await wait_for_event(session.closed, 0.2)
        return Termination(True) if not_started and closed else session.processes.termination(lines)

    async def _scan_and_stop(self, connection: asyncssh.SSHClientConnection, session: CommandSession) -> list[str]:
        lines: list[str] = []
        processes = session.processes
        scan = LinesSession(lambda line: lines.append(line) if len(lines) < 1000 else None)
        line = stop_line(self._marker, processes.since, processes.pipes, processes.entries())
        try:
            channel, _ = await connection.create_session(lambda: scan, line, encoding=None, request_pty=False)
            channel.write_eof()
            await scan.closed.wait()
        finally:
            if scan.channel is not None:
                scan.channel.close()
        return lines


async def within(seconds: float, work: Coroutine[Any, Any, T], late: T) -> T:
    """The result of ``work``, or ``late`` after ``seconds``. It can be used in a task that is being canceled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        return task.result() if task.done() else late
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.5)


async def wait_for_event(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most ``seconds``; returns whether it is set."""
    try:
        async with asyncio.timeout(seconds):  # wait_for may lose a cancellation that comes together with the event
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
