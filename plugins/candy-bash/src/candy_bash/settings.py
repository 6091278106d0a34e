"""The plugin's section of the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from attrs import Factory, field, frozen

from candy_core import Meta, Mismatch
from candy_kit_command import CommandSettings

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@frozen
class Umask:
    """A file mode mask, written in octal with a leading zero: ``022``."""

    bits: int

    @classmethod
    def parse(cls, text: str) -> Umask:
        """Read a mask. Raises ``ValueError`` for anything but ``0`` and two or three octal digits."""
        if not re.fullmatch(r"0[0-7]{2,3}", text.strip()):
            raise ValueError('expected an octal mask with a leading zero, in quotes: "022"')
        return cls(int(text.strip(), 8))

    def __str__(self) -> str:
        return f"0{self.bits:03o}"


@frozen(kw_only=True)
class Limits:
    """Limits for each process of a command; ``None``: the agent's own limit.

    ``cpu`` in seconds, ``memory`` in bytes of address space, ``files`` open at once, ``processes`` of the same user
    (does not apply to root).
    """

    cpu: Annotated[int, Meta(ge=1)] | None = None
    memory: Annotated[int, Meta(ge=1_048_576)] | None = None
    files: Annotated[int, Meta(ge=8)] | None = None
    processes: Annotated[int, Meta(ge=1)] | None = None

    def bounds(self) -> Mapping[str, int]:
        """The limits that are set, by their names for ``prlimit`` and ``RLIMIT_…``."""
        given = {"cpu": self.cpu, "as": self.memory, "nofile": self.files, "nproc": self.processes}
        return {name: bound for name, bound in given.items() if bound is not None}


@frozen(kw_only=True)
class BashSettings(CommandSettings):
    """How commands run.

    ``shell`` interprets free-form commands; by default ``/bin/bash``, else ``/bin/sh``. ``cwd`` and ``umask`` apply to
    every command; its environment is ``PATH`` (``path``), ``env``, LANG and the run marker. ``user`` runs commands as
    another user, which requires root. ``grace`` is the number of seconds between TERM and KILL, short enough for both
    within the 5 s that an executor has after cancellation.
    """

    shell: Path | None = None
    cwd: Path = Path("/")
    path: str = SEARCH_PATH
    env: Mapping[str, str] = field(factory=dict, repr=False)
    umask: Umask = Umask(0o022)
    user: str | None = None
    limits: Limits = Factory(Limits)
    grace: Annotated[float, Meta(ge=0, le=2)] = 1.0

    def __attrs_post_init__(self) -> None:
        for name, value in self.env.items():
            if not _VARIABLE.fullmatch(name) or "\0" in value:
                raise Mismatch("expected env with plain names, and values without NUL")
        if "CANDY_RUN" in self.env:
            raise Mismatch("expected env without CANDY_RUN, which marks the processes of a run")
        if not self.cwd.is_absolute() or (self.shell is not None and not self.shell.is_absolute()):
            raise Mismatch("expected absolute paths for cwd and shell")
