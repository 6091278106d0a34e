"""Starts a command: in a session of its own, with a clean environment, no descriptors but its output, and limits."""

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

from candy_bash import limiting
from candy_bash.adoption import Adoption, Lineage
from candy_bash.settings import BashSettings
from candy_core import SettingsError
from candy_kit_command import MARK, Command


@frozen(kw_only=True)
class Identity:
    """Whom commands run as."""

    user: int
    group: int
    groups: tuple[int, ...]


@frozen(kw_only=True)
class Started:
    """A running command. The descriptors are the reading ends of its output, and do not block."""

    process: subprocess.Popen[bytes]
    lineage: Lineage
    stdout: int
    stderr: int


@frozen(kw_only=True)
class Launcher:
    """What all commands have in common. ``shell`` is ``None`` where free-form commands are off: only these need one."""

    shell: str | None
    cwd: str
    environment: Mapping[str, str]
    umask: int
    prefix: tuple[str, ...]
    path: str
    identity: Identity | None
    adoption: Adoption

    @classmethod
    def make(cls, settings: BashSettings, adoption: Adoption) -> Launcher:
        """Look up what the settings name. Raises :class:`SettingsError` for what this host does not have."""
        if not settings.cwd.is_dir():
            raise SettingsError(f"cwd: {settings.cwd} is no folder")
        return cls(
            shell=_shell(settings) if settings.allow_command else None,
            cwd=str(settings.cwd),
            environment={"PATH": settings.path, "LANG": "C.UTF-8", **settings.env},
            umask=settings.umask.bits,
            prefix=_limiting(settings),
            path=settings.path,
            identity=None if settings.user is None else _identity(settings.user),
            adoption=adoption,
        )

    def start(self, command: Command) -> Started:
        """Fork and execute. Raises ``OSError``; ``FileNotFoundError`` for a program that is not there."""
        argv = command.argv
        if command.shell is not None:
            if self.shell is None:
                raise ValueError("no shell was looked for, since free-form commands are off")
            argv = (self.shell, "-c", command.shell)
        if self.prefix:
            found = shutil.which(argv[0], path=self.path)
            if found is None:
                raise FileNotFoundError(2, os.strerror(2), argv[0])
            argv = (*self.prefix, found, *argv[1:])
        mark = secrets.token_hex(16)
        lineage = self.adoption.new(f"{MARK}={mark}".encode())
        readers: list[int] = []
        writers: list[int] = []
        try:
            for _ in range(2):
                reader, writer = os.pipe2(os.O_CLOEXEC)
                readers.append(reader)
                writers.append(writer)
                os.set_blocking(reader, False)
            with self.adoption.tagging(lineage):
                process = self._fork(argv, {**self.environment, MARK: mark}, writers)
        except BaseException:
            for descriptor in readers:
                os.close(descriptor)
            self.adoption.forget(lineage)
            raise
        finally:
            for descriptor in writers:
                os.close(descriptor)
        self.adoption.born(lineage, process.pid)
        return Started(process=process, lineage=lineage, stdout=readers[0], stderr=readers[1])

    def _fork(
        self, argv: tuple[str, ...], environment: Mapping[str, str], writers: list[int]
    ) -> subprocess.Popen[bytes]:
        identity = self.identity
        return subprocess.Popen(  # noqa: S603  # an argv, whose values are each one element
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
        raise SettingsError(f"shell: {shell or '/bin/sh'} is no program that the agent may run")
    return str(shell)


def _limiting(settings: BashSettings) -> tuple[str, ...]:
    """What a command line begins with that sets the limits: prlimit, else a Python, which takes longer to start."""
    bounds = settings.limits.bounds()
    if not bounds:
        return ()
    prlimit = shutil.which("prlimit", path=settings.path)
    if prlimit is not None:
        return (prlimit, *(f"--{name}={bound}:{bound}" for name, bound in bounds.items()), "--")
    if not sys.executable:
        raise SettingsError("limits: they need the program prlimit (of util-linux) in path, or a Python that is a file")
    script = str(Path(limiting.__file__))
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
