"""A running command on the event loop: reads what it writes, and notices its end.

Not ``asyncio.create_subprocess_exec``: its watchers reap a process the moment it ends. Here it stays a zombie until
whatever it left behind is gone, so that its number, and that of its session, cannot come to mean another process.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from candy_bash.launch import Started
from candy_kit_command import Capture

_CHUNK = 65_536
_STRETCH = 1_048_576
"""Bytes beyond what is kept that are read in one go; then the writer waits for :data:`_REST` seconds."""
_REST = 0.01
_LAST_READS = 32
"""Chunks that may lie in a pipe after the end: a pipe holds at most 1 MiB unless root made it larger."""
_POLL = 0.02


class Child:
    """Takes over what :class:`~candy_bash.launch.Started` holds. :meth:`close` gives everything back."""

    def __init__(self, started: Started, stdout: Capture, stderr: Capture, kept: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = started.process
        self.lineage = started.lineage
        self._streams = [
            _Stream(self._loop, started.stdout, stdout, kept),
            _Stream(self._loop, started.stderr, stderr, kept),
        ]
        self._ended = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._pidfd = _pidfd(self._process.pid)
        if self._pidfd is None:
            self._poll()
        else:
            self._loop.add_reader(self._pidfd, self._end)

    @property
    def pid(self) -> int:
        """The number of its first process."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether its first process has ended."""
        return self._ended.done()

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until the first process has ended, at most so long; whether it has. A cancel changes nothing in it."""
        if not self._ended.done():
            await asyncio.wait((self._ended,), timeout=seconds)
        return self._ended.done()

    async def drain(self, seconds: float) -> bool:
        """Read on until both streams are at their end, at most so long; whether they are."""
        until = self._loop.time() + seconds
        while not all(stream.read_all() for stream in self._streams):
            if self._loop.time() >= until:
                return False
            await asyncio.sleep(0.005)
        return True

    def reap(self) -> int | None:
        """Ask how it ended, which frees its number: the exit code, or a signal's number negated."""
        return self._process.poll()

    def close(self) -> None:
        """Stop reading."""
        for stream in self._streams:
            stream.close()
        if self._timer is not None:
            self._timer.cancel()
        self._stop_watching()

    def _end(self) -> None:
        self._stop_watching()
        for stream in self._streams:
            stream.read_all()
        if not self._ended.done():
            self._ended.set_result(None)

    def _stop_watching(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _poll(self) -> None:
        """For a kernel, or a sandbox, without pidfds."""
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        except ChildProcessError:
            ended = True
        if ended:
            self._end()
        else:
            self._timer = self._loop.call_later(_POLL, self._poll)


class _Stream:
    """The reading end of one pipe."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int, capture: Capture, kept: int) -> None:
        self._loop = loop
        self._descriptor: int | None = descriptor
        self._capture = capture
        self._rest_at = kept + _STRETCH
        self._total = 0
        self._timer: asyncio.TimerHandle | None = None
        loop.add_reader(descriptor, self._ready)

    def _ready(self) -> None:
        self._read()
        if self._total >= self._rest_at and self._descriptor is not None:
            # Its writer would else have the loop for itself, for bytes of which none is kept.
            self._rest_at = self._total + _STRETCH
            self._loop.remove_reader(self._descriptor)
            self._timer = self._loop.call_later(_REST, self._resume)

    def _resume(self) -> None:
        self._timer = None
        if self._descriptor is not None:
            self._loop.add_reader(self._descriptor, self._ready)

    def _read(self) -> bool:
        """Read a chunk; whether there may be more at once."""
        if self._descriptor is None:
            return False
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        self._capture.feed(data)
        self._total += len(data)
        return True

    def read_all(self) -> bool:
        """Read what is there; whether that was the end of the stream."""
        for _ in range(_LAST_READS):
            if not self._read():
                break
        return self._descriptor is None

    def close(self) -> None:
        """Give the descriptor back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


def _pidfd(pid: int) -> int | None:
    with suppress(OSError):
        return os.pidfd_open(pid)
    return None
