"""A running command on the event loop: reads its output and notices its end.

This is not ``asyncio.create_subprocess_exec``, whose watchers reap a process as soon as it ends. Here it stays a zombie
until everything it left behind has ended, so that neither its pid nor its session id can be reused meanwhile.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from candy_bash.launch import StartedProcess
from candy_kit_command import Capture

_CHUNK = 65_536
_BURST = 1_048_576
"""Bytes beyond the kept ones that are read before reading pauses for :data:`_PAUSE` seconds."""
_PAUSE = 0.01
_LAST_READS = 32
"""Chunks that a pipe may still hold after the end: a pipe holds at most 1 MiB unless root made it larger."""
_POLL = 0.02


class RunningCommand:
    """Owns the process and the descriptors of a :class:`~candy_bash.launch.StartedProcess` until :meth:`close`."""

    def __init__(self, started: StartedProcess, stdout: Capture, stderr: Capture, kept: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = started.process
        self.tree = started.tree
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
            self._loop.add_reader(self._pidfd, self._on_end)

    @property
    def pid(self) -> int:
        """The pid of its first process."""
        return self._process.pid

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until the first process has ended, at most ``seconds``; returns whether it has. Safe to cancel."""
        if not self._ended.done():
            await asyncio.wait((self._ended,), timeout=seconds)
        return self._ended.done()

    async def drain(self, seconds: float) -> bool:
        """Read until both streams are at their end, at most ``seconds``; returns whether they are."""
        deadline = self._loop.time() + seconds
        while not all(stream.read_all() for stream in self._streams):
            if self._loop.time() >= deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    def reap(self) -> int | None:
        """Reap it, which frees its pid: its exit code, or the negated number of the signal that killed it."""
        return self._process.poll()

    def close(self) -> None:
        """Stop reading."""
        for stream in self._streams:
            stream.close()
        if self._timer is not None:
            self._timer.cancel()
        self._stop_watching()

    def _on_end(self) -> None:
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
        """Check for the end, on a kernel or in a sandbox without pidfds."""
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        except ChildProcessError:
            ended = True
        if ended:
            self._on_end()
        else:
            self._timer = self._loop.call_later(_POLL, self._poll)


class _Stream:
    """The reading end of one pipe."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int, capture: Capture, kept: int) -> None:
        self._loop = loop
        self._descriptor: int | None = descriptor
        self._capture = capture
        self._pause_at = kept + _BURST
        self._total = 0
        self._timer: asyncio.TimerHandle | None = None
        loop.add_reader(descriptor, self._ready)

    def _ready(self) -> None:
        self._read()
        if self._total >= self._pause_at and self._descriptor is not None:
            # Else a fast writer would keep the loop busy with bytes that are dropped.
            self._pause_at = self._total + _BURST
            self._loop.remove_reader(self._descriptor)
            self._timer = self._loop.call_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        self._timer = None
        if self._descriptor is not None:
            self._loop.add_reader(self._descriptor, self._ready)

    def _read(self) -> bool:
        """Read a chunk; returns whether more may be available at once."""
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
        """Read what is available; returns whether the stream is at its end."""
        for _ in range(_LAST_READS):
            if not self._read():
                break
        return self._descriptor is None

    def close(self) -> None:
        """Close the descriptor."""
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
