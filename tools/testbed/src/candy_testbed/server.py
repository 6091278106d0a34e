"""One real server as a child process: started, waited for, stopped by its own pid."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

LOOPBACK = "127.0.0.1"
_POLL = 0.05
"""Seconds between two checks whether the server is ready."""
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Debian installs some servers in folders that are only on root's PATH."""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens URLs on loopback, without the proxy that the environment may name."""


class MissingServer(Exception):
    """The server's program is missing; the message says how to install it. ``package`` is Debian's, if it has one."""

    def __init__(self, program: str, package: str, remedy: str | None = None) -> None:
        super().__init__(remedy or f"{program} is not installed: sudo apt-get install {package}")
        self.program = program
        self.package = package


class NotReady(Exception):
    """The server ended, or did not answer in time; the message ends with the last lines that it wrote."""


def free_port() -> int:
    """A free TCP port on loopback. Another process may take it first: callers must retry."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


class LoopbackServer(ABC):
    """A context manager, plain or async, around one server process on a free port of loopback.

    A subclass says which ``program`` of which Debian ``package`` it is, how it is called (:meth:`command`) and when it
    is ready (:meth:`ready`). The process has a folder of its own, removed at the end, and dies with its parent.
    """

    program: ClassVar[str]
    package: ClassVar[str]
    start_timeout: ClassVar[float] = 120.0
    """Seconds from the start until it is ready, even on a very busy machine."""
    stop_timeout: ClassVar[float] = 5.0
    """Seconds between SIGTERM and SIGKILL."""
    attempts: ClassVar[int] = 4
    """How often a start is tried, since a free port may be taken before the server binds it."""

    def __init__(self, *, env: Mapping[str, str] | None = None) -> None:
        self.port = 0
        self.exit_code: int | None = None
        """How the last process ended: its exit code, or minus the signal; ``None`` before that."""
        self._env = dict(env or {})
        self._stack = contextlib.ExitStack()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """``127.0.0.1:port``."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://{self.address}"

    @property
    def running(self) -> bool:
        """Whether the process exists, even if it is frozen."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        if self._process is None:
            raise NotReady(f"{self.program} is not running")
        return self._process.pid

    @property
    def folder(self) -> Path:
        """The server's own folder, from the start to the end of the context."""
        if self._folder is None:
            raise NotReady(f"{self.program} has not been started")
        return self._folder

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The arguments after the program's name. Called before each start, with ``port`` and ``folder`` settled."""

    def environment(self) -> dict[str, str]:
        """What the process inherits: search path and locale, and nothing that may be a secret of the user."""
        inherited = {name: os.environ[name] for name in ("LANG", "PATH", "TZ") if name in os.environ}
        return inherited | {"HOME": str(self.folder)} | self._env

    @abstractmethod
    def ready(self) -> bool:
        """Whether it is ready; a refused connection means it is not."""

    def executable(self) -> str:
        """The path of the program. Raises :class:`MissingServer`."""
        found = shutil.which(self.program, path=_PATH)
        if found is None:
            raise MissingServer(self.program, self.package)
        return found

    def pick_port(self) -> int:
        """A port for a first start."""
        return free_port()

    def start(self, *, port: int | None = None) -> None:
        """Start the process, by default on a new port; returns at once. Raises :class:`MissingServer`.

        The process ends with the thread that starts it: call this from one that lives as long as is needed.
        """
        executable = self.executable()
        if self._folder is None:
            self._folder = Path(
                self._stack.enter_context(tempfile.TemporaryDirectory(prefix=f"candy-{Path(self.program).name}-"))
            )
        self.port = port or self.pick_port()
        with self._log().open("ab") as log:
            self._process = self._spawn([executable, *self.command()], log)

    def _spawn(self, command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        # util-linux's setpriv ties the child's life to the parent's, and then becomes the child: the pid stays.
        tie = shutil.which("setpriv", path=_PATH)
        tied = [tie, "--pdeathsig", "KILL", "--", *command] if tie else list(command)
        return subprocess.Popen(  # the command is our own
            tied,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=self.environment(),
            start_new_session=True,  # a Ctrl-C at the terminal is for us; we stop the server in order
        )

    def stop(self) -> None:
        """Stop the process: SIGTERM, then SIGKILL. Does nothing if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self.stop_timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.exit_code = process.returncode

    def wait_until_ready(self) -> None:
        """Wait, at most ``start_timeout``, for a process that :meth:`start` has started. Raises :class:`NotReady`."""
        deadline = time.monotonic() + self.start_timeout
        while self._waiting(deadline, last=True) and not self.ready():
            time.sleep(_POLL)

    def pause(self) -> None:
        """Freeze the process (SIGSTOP), all of its threads: it accepts connections and never answers."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a crash would."""
        if self._process is not None:
            self._process.kill()
            self.exit_code = self._process.wait()

    def __enter__(self) -> Self:
        try:
            for attempt in range(1, self.attempts + 1):
                self.start()
                deadline = time.monotonic() + self.start_timeout
                while self._waiting(deadline, last=attempt == self.attempts):
                    if self.ready():
                        return self
                    time.sleep(_POLL)
        except BaseException:
            self._close()
            raise
        raise AssertionError("the last attempt either returns or raises")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    async def __aenter__(self) -> Self:
        try:
            for attempt in range(1, self.attempts + 1):
                self.start()  # on this thread: the child's life is tied to the thread that started it
                deadline = time.monotonic() + self.start_timeout
                while self._waiting(deadline, last=attempt == self.attempts):
                    if await asyncio.to_thread(self.ready):
                        return self
                    await asyncio.sleep(_POLL)
        except BaseException:
            self._close()
            raise
        raise AssertionError("the last attempt either returns or raises")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._close)

    def _waiting(self, deadline: float, *, last: bool) -> bool:
        """True: keep waiting; False: it ended, try another port. Raises :class:`NotReady` after the last attempt."""
        if self.running:
            if time.monotonic() < deadline:
                return True
            raise NotReady(f"{self.program} was not ready within {self.start_timeout:g} s\n{self.output()}")
        if last:
            raise NotReady(f"{self.program} ended at its start\n{self.output()}")
        return False

    def _close(self) -> None:
        self.stop()
        self._stack.close()
        self._folder = None

    def _log(self) -> Path:
        return self.folder / "output.log"

    def output(self, lines: int = 15) -> str:
        """The last lines that the process wrote."""
        text = self._log().read_text(errors="replace") if self._log().exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def answers(url: str, timeout: float = 10.0) -> bool:
    """Whether a GET of ``url`` (http, on loopback) gives a 2xx."""
    try:
        with DIRECT.open(url, timeout=timeout) as answer:
            status: int = answer.status
            return 200 <= status < 300
    except OSError:
        return False
