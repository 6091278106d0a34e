"""Starts a command in its own session, with a clean environment, limits, and no descriptors except its output."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from candy_bash import exec_with_limits
from candy_bash.settings import BashSettings
from candy_bash.subreaper import ProcessTree, Subreaper
from candy_core import SettingsError
from candy_kit_command import RUN_MARKER, Command


@frozen(kw_only=True)
class Identity:
    """The user and the groups as which commands run."""

    user: int
    group: int
    groups: tuple[int, ...]


@frozen(kw_only=True)
class StartedProcess:
    """A command's first process. The descriptors are the non-blocking reading ends of its output."""

    process: subprocess.Popen[bytes]
    tree: ProcessTree
    stdout: int
    stderr: int


@frozen(kw_only=True)
class Launcher:
    """What all commands have in common. ``shell`` is ``None`` where free-form commands are off."""

    shell: str | None
    cwd: str
    environment: Mapping[str, str]
    umask: int
    prefix: tuple[str, ...]
    path: str
    identity: Identity | None
    subreaper: Subreaper

    @classmethod
    def from_settings(cls, settings: BashSettings, subreaper: Subreaper) -> Launcher:
        """Look up what the settings name. Raises :class:`SettingsError` for what is missing on this host."""
        if not settings.cwd.is_dir():
            raise SettingsError(f"cwd: {settings.cwd} is not a directory")
        return cls(
            shell=_shell(settings) if settings.allow_command else None,
            cwd=str(settings.cwd),
            environment={"PATH": settings.path, "LANG": "C.UTF-8", **settings.env},
            umask=settings.umask.bits,
            prefix=_limit_prefix(settings),
            path=settings.path,
            identity=None if settings.user is None else _identity(settings.user),
            subreaper=subreaper,
        )

    def start(self, command: Command) -> StartedProcess:
        """Fork and execute. Raises ``OSError``, which is ``FileNotFoundError`` for a missing program."""
        if command.shell is not None and self.shell is None:
            raise ValueError("free-form commands are off, so there is no shell")
        argv = command.argv_for(self.shell or "")
        if self.prefix:
            found = shutil.which(argv[0], path=self.path)
            if found is None:
                raise FileNotFoundError(2, os.strerror(2), argv[0])
            argv = (*self.prefix, found, *argv[1:])
        marker = secrets.token_hex(16)
        tree = self.subreaper.register(f"{RUN_MARKER}={marker}".encode())
        readers: list[int] = []
        writers: list[int] = []
        try:
            for _ in range(2):
                reader, writer = os.pipe2(os.O_CLOEXEC)
                readers.append(reader)
                writers.append(writer)
                os.set_blocking(reader, False)
            with self.subreaper.tagging(tree):
                process = self._fork(argv, {**self.environment, RUN_MARKER: marker}, writers)
        except BaseException:
            for descriptor in readers:
                os.close(descriptor)
            self.subreaper.forget(tree)
            raise
        finally:
            for descriptor in writers:
                os.close(descriptor)
        self.subreaper.started(tree, process.pid)
        return StartedProcess(process=process, tree=tree, stdout=readers[0], stderr=readers[1])

    def _fork(
        self, argv: tuple[str, ...], environment: Mapping[str, str], writers: list[int]
    ) -> subprocess.Popen[bytes]:
        identity = self.identity
        return subprocess.Popen(  # noqa: S603  # an argv, in which each value is one element
            argv,
            stdin=subprocess.DEVNULL,
            stdout=writers[0],
            stderr=writers[1],
            cwd=self.cwd,
            env=environment,
            umask=self.umask,
            start_new_session=True,
            user=None if identity is None else identity.user,
            group=None if identity is None else identity.group,
            extra_groups=None if identity is None else identity.groups,
        )


def _shell(settings: BashSettings) -> str:
    shell = settings.shell or next((path for path in map(Path, ("/bin/bash", "/bin/sh")) if path.exists()), None)
    if shell is None or not os.access(shell, os.X_OK):
        raise SettingsError(f"shell: {shell or '/bin/sh'} is not a program that the agent may run")
    return str(shell)


def _limit_prefix(settings: BashSettings) -> tuple[str, ...]:
    """The beginning of an argv that sets the limits: prlimit, or else Python, which takes longer to start."""
    bounds = settings.limits.bounds()
    if not bounds:
        return ()
    prlimit = shutil.which("prlimit", path=settings.path)
    if prlimit is not None:
        return (prlimit, *(f"--{name}={bound}:{bound}" for name, bound in bounds.items()), "--")
    if not sys.executable:
        raise SettingsError("limits: need the program prlimit (of util-linux) in path, or a Python executable")
    script = str(Path(exec_with_limits.__file__))
    return (sys.executable, "-I", "-S", script, *(f"{name}={bound}" for name, bound in bounds.items()), "--")


def _identity(name: str) -> Identity | None:
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise SettingsError(f"user: this host has no user {name}") from None
    if os.geteuid() == 0:
        groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return Identity(user=entry.pw_uid, group=entry.pw_gid, groups=groups)
    if entry.pw_uid != os.geteuid():
        raise SettingsError(f"user: the agent must run as root to run commands as {name}")
    return None
