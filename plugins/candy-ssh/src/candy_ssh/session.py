"""The two kinds of SSH session: one for a command, one for the lines of a scanner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncssh

from candy_kit_command import Capture
from candy_ssh.remote_processes import FirstProcess, RemoteProcesses

_MAX_NOISE = 64 * 1024
"""Bytes that the shell's start-up files may print before the launcher's report."""
_MAX_REPORT = 16 * 1024
"""Bytes of the launcher's report. A longer one is not from the launcher, and would fill the agent's memory."""
_MAX_LINES = 1024 * 1024
"""Bytes of a scanner's lines: enough for several days and for ``remote_scripts.MAX_SEEN`` processes."""
_DRAIN_BYTES = 4 * 1024 * 1024
_DRAIN_SECONDS = 0.25
"""A stream past its limit is still read, so that the command can finish, but not faster than this."""


class CommandSession(asyncssh.SSHClientSession[bytes]):
    """Receives a command's output and its exit status."""

    def __init__(self, marker: str, stdout: Capture, stderr: Capture, limit: int) -> None:
        self.processes = RemoteProcesses(marker)
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.exit_code: int | None = None
        self.signal: str | None = None
        self.launched = asyncio.Event()
        """The launcher has printed its report, or never will."""
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self.started = False
        """Whether the launcher was given the line that starts the command."""
        self.received = 0
        self._start_prevented = False
        self._marker = marker.encode()
        self._stdout = stdout
        self._stderr = stderr
        self._limit = limit
        self._header: bytearray | None = bytearray()
        self._budget = 0
        self._timer: asyncio.TimerHandle | None = None

    def prevent_start(self) -> None:
        """Make the launcher exit without starting the command, unless the command has been started."""
        self._start_prevented = True
        if self.channel is not None and not self.started and not self.closed.is_set():
            self.channel.write_eof()
            # If the opening of the session was canceled, reading is still paused, and its end would not be noticed.
            self.channel.resume_reading()

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is open; asyncssh requests the command next."""
        self.channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """The next piece of a stream."""
        self.received += len(data)
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            self._stderr.feed(data)
        elif self._header is None:
            self._stdout.feed(data)
        else:
            self._header += data
            self._read_header(self._header)
        if self.received > 2 * self._limit:
            self._throttle(len(data))

    def exit_status_received(self, status: int) -> None:
        """The command has exited. Processes that it left behind may still hold its streams."""
        self.exit_code = status
        self.exited.set()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """A signal has killed the command; ``signal`` is its name without SIG."""
        self.signal = signal
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed, cleanly or not."""
        if self._timer is not None:
            self._timer.cancel()
        if self._header is not None:  # without a report, this is all the output there is
            self._stdout.feed(bytes(self._header))
            self._header = None
        self.launched.set()
        self.exited.set()
        self.closed.set()

    def _read_header(self, header: bytearray) -> None:
        marker = self._marker
        begin = header.find(marker + b"\n")  # a start-up file may print the command line, and with it the marker
        if begin < 0:
            if len(header) > _MAX_NOISE:
                del header[: -len(marker)]
            return
        end = header.find(marker + b".\n", begin + len(marker))
        if end < 0 and len(header) - begin <= _MAX_REPORT:
            return
        if end < 0:
            rest = bytes(header)
        else:
            report = bytes(header[begin + len(marker) + 1 : end]).decode("utf-8", "replace")
            self.processes.first = FirstProcess.parse(report)
            self.processes.launcher_reported = True
            rest = bytes(header[end + len(marker) + 2 :])
        self._header = None
        self.launched.set()
        self._start()
        self._stdout.feed(rest)

    def _start(self) -> None:
        if self.channel is None or self._start_prevented:
            return
        if self.processes.launcher_reported:
            self.started = True
            self.channel.write(b"\n")
        self.channel.write_eof()

    def _throttle(self, size: int) -> None:
        self._budget += size
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self._resume)
        if self._budget > _DRAIN_BYTES and self.channel is not None:
            self.channel.pause_reading()

    def _resume(self) -> None:
        self._timer = None
        self._budget = 0
        if self.channel is not None and not self.closed.is_set():
            self.channel.resume_reading()


class LinesSession(asyncssh.SSHClientSession[bytes]):
    """Passes on each line of stdout; ``closed`` is set after the last one."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.closed = asyncio.Event()
        self._on_line = on_line
        self._rest = b""
        self._received = 0

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is open."""
        self.channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """The next piece of a stream; stderr is ignored."""
        self._received += len(data)
        if self._received > _MAX_LINES and self.channel is not None:  # no scanner prints so much
            self.closed.set()
            self.channel.abort()
        if datatype is not None or self.closed.is_set():
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in filter(None, lines):
            self._on_line(line.decode("utf-8", "replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed."""
        self.closed.set()
