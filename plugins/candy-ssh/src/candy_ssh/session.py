"""The two kinds of session on a connection: one for a command, one for the lines of a walker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncssh

from candy_kit_command import Capture
from candy_ssh.traces import Origin, Traces

_MAX_NOISE = 64 * 1024
"""Bytes before the launcher's words: what a start-up file of the shell may print."""
_MAX_WORDS = 16 * 1024
"""Bytes of the launcher's own words. A host that says more is not the launcher, and would fill the memory."""
_MAX_LINES = 1024 * 1024
"""Bytes of a walker's lines: several days of them, and more than :data:`~candy_ssh.traces.MAX_SEEN` processes."""
_DRAIN_BYTES = 4 * 1024 * 1024
_DRAIN_SECONDS = 0.25
"""Past its limit a stream is still read, so that the command can come to its end, but not faster than that."""


class CommandSession(asyncssh.SSHClientSession[bytes]):
    """Takes what the command writes, and how it ends."""

    def __init__(self, mark: str, stdout: Capture, stderr: Capture, limit: int) -> None:
        self.traces = Traces(mark)
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.exit_code: int | None = None
        self.signal: str | None = None
        self.told = asyncio.Event()
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self.begun = False
        """Whether the command was told to begin."""
        self.received = 0
        self._withheld = False
        self._mark = mark.encode()
        self._stdout = stdout
        self._stderr = stderr
        self._limit = limit
        self._header: bytearray | None = bytearray()
        self._budget = 0
        self._timer: asyncio.TimerHandle | None = None

    def withhold(self) -> None:
        """Have a command that was not told to begin not begin any more."""
        self._withheld = True
        if self.channel is not None and not self.begun and not self.closed.is_set():
            self.channel.write_eof()
            # Where the start itself was canceled nobody reads yet, and the end would never be heard of.
            self.channel.resume_reading()

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is there; the command is asked for next."""
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
            self._slow_down(len(data))

    def exit_status_received(self, status: int) -> None:
        """It has exited; processes that it left may still hold the streams."""
        self.exit_code = status
        self.exited.set()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """A signal has ended it; ``signal`` is a name without SIG."""
        self.signal = signal
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed, in order or not."""
        if self._timer is not None:
            self._timer.cancel()
        if self._header is not None:  # no launcher ever spoke: then this is what there is to be seen
            self._stdout.feed(bytes(self._header))
            self._header = None
        self.told.set()
        self.exited.set()
        self.closed.set()

    def _read_header(self, header: bytearray) -> None:
        mark = self._mark
        begin = header.find(mark + b"\n")  # a start-up file that shows the command line shows the mark, too
        if begin < 0:
            if len(header) > _MAX_NOISE:
                del header[: -len(mark)]
            return
        end = header.find(mark + b".\n", begin + len(mark))
        if end < 0 and len(header) - begin <= _MAX_WORDS:
            return
        if end < 0:
            rest = bytes(header)
        else:
            words = bytes(header[begin + len(mark) + 1 : end]).decode("utf-8", "replace")
            self.traces.origin = Origin.read(words)
            self.traces.told = True
            rest = bytes(header[end + len(mark) + 2 :])
        self._header = None
        self.told.set()
        self._begin()
        self._stdout.feed(rest)

    def _begin(self) -> None:
        if self.channel is None or self._withheld:
            return
        if self.traces.told:
            self.begun = True
            self.channel.write(b"\n")
        self.channel.write_eof()

    def _slow_down(self, size: int) -> None:
        self._budget += size
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self._go_on)
        if self._budget > _DRAIN_BYTES and self.channel is not None:
            self.channel.pause_reading()

    def _go_on(self) -> None:
        self._timer = None
        self._budget = 0
        if self.channel is not None and not self.closed.is_set():
            self.channel.resume_reading()


class LinesSession(asyncssh.SSHClientSession[bytes]):
    """Hands each line of stdout on, and knows when there will be no more."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.closed = asyncio.Event()
        self._take = take
        self._rest = b""
        self._received = 0

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is there."""
        self.channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """The next piece; stderr is nobody's concern."""
        self._received += len(data)
        if self._received > _MAX_LINES and self.channel is not None:  # no walker says so much
            self.closed.set()
            self.channel.abort()
        if datatype is not None or self.closed.is_set():
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in filter(None, lines):
            self._take(line.decode("utf-8", "replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        """There will be no more."""
        self.closed.set()
