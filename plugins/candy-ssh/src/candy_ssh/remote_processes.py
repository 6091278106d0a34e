"""What is known of a run's processes on the remote host, and what the scanner reports about their end."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import Factory, define, frozen

from candy_kit_command import Termination
from candy_ssh.remote_scripts import MAX_SEEN, locks_of

_PIPE = re.compile(r"-> ((?:pipe|socket):\[[0-9]{1,20}\])$", re.MULTILINE)
"""In a line of ``ls -l``. Parsed here, since a further program in the launcher would slow down every command."""
_SEEN = re.compile(r"[0-9]{1,10}:[0-9]{1,20}:[0-9]{1,10}")
_MAX_NAMES = 20


@frozen(kw_only=True)
class FirstProcess:
    """The run's first process. ``start`` is in ticks since boot, ``locks`` is its RLIMIT_LOCKS."""

    pid: int
    start: int
    session: int
    locks: str
    pipes: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> FirstProcess | None:
        """Parse what the launcher printed; ``None`` if it had no ``/proc`` to read."""
        stat, _, rest = text.partition("\n")
        locks, _, rest = rest.partition("\n")
        head, closed, tail = stat.rpartition(")")
        fields = tail.split()
        if not closed or len(fields) < 20:
            return None
        try:
            pid, session, start = int(head.partition(" ")[0]), int(fields[3]), int(fields[19])
        except ValueError:
            return None
        pipes = tuple(dict.fromkeys(_PIPE.findall(rest)))[:8]
        return cls(pid=pid, start=start, session=session, locks=locks.strip(), pipes=pipes)

    @property
    def entry(self) -> str:
        """As an argument of the scanner. The session is given if this process leads it, as it does under sshd."""
        return f"{self.pid}:{self.start}:{self.pid if self.session == self.pid else 0}"


@define
class RemoteProcesses:
    """The processes of the run with this marker that have been seen so far."""

    marker: str
    first: FirstProcess | None = None
    launcher_reported: bool = False
    """Whether the launcher has printed its report. Before that, no process of the run may be known."""
    seen: dict[str, None] = Factory(dict)
    overflow: bool = False

    @property
    def has_locks_marker(self) -> bool:
        """Whether the run's processes have the marker that is never dropped: the limit of file locks."""
        return self.first is not None and self.first.locks == locks_of(self.marker)

    @property
    def since(self) -> int:
        """No older process belongs to the run."""
        return 0 if self.first is None else self.first.start

    @property
    def pipes(self) -> tuple[str, ...]:
        """A process that holds one of these belongs to the run."""
        return () if self.first is None else self.first.pipes

    def entries(self) -> list[str]:
        """As arguments of the scanner."""
        return [*([] if self.first is None else [self.first.entry]), *self.seen]

    def add(self, line: str) -> None:
        """Handle a line that the scanner prints in ``watch`` mode."""
        if not line.startswith("seen"):
            return
        for entry in line.split()[1:]:
            if not _SEEN.fullmatch(entry):
                continue
            if len(self.seen) >= MAX_SEEN - 1:
                self.overflow = True
                return
            self.seen[entry] = None

    def termination(self, lines: Sequence[str]) -> Termination:
        """Evaluate the lines that the scanner prints in ``stop`` mode."""
        report: dict[str, list[str]] = {}
        for line in lines:
            word, _, rest = line.partition(" ")
            report.setdefault(word, []).append(_printable(rest))
        if "failed" in report:
            return Termination(False, f"the host cannot search for its processes: {report['failed'][0]}")
        if "done" not in report:
            return Termination(False, "the search for its processes did not finish")
        if left := " ".join(report.get("left", ())).split():
            return Termination(False, f"still alive: {_listed(left)}")
        if not self.launcher_reported:
            return Termination(False, "it was stopped before its process id was known")
        if self.first is None:
            return Termination(False, "the host did not report its process id")
        if self.overflow:
            return Termination(False, f"it started more than {MAX_SEEN} processes")
        if "partial" in report:
            return Termination(False, report["partial"][0])
        if not self.has_locks_marker:
            return Termination(False, "the host's shell cannot mark processes that drop their environment")
        return Termination(True)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:4000])
