"""What is known of a run's processes on the other side, and what the walker says of their end."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import Factory, define, frozen

from candy_kit_command import Termination
from candy_ssh.walker import MAX_SEEN, locks_of

_PIPE = re.compile(r"-> ((?:pipe|socket):\[[0-9]{1,20}\])$", re.MULTILINE)
"""In a line of ``ls -l``. Read here, since each program that the launcher starts over there costs every command."""
_SEEN = re.compile(r"[0-9]{1,10}:[0-9]{1,20}:[0-9]{1,10}")
_MAX_SHOWN = 20


@frozen(kw_only=True)
class Origin:
    """The run's first process: its id, its start in ticks, its session, its limit of file locks, its pipes."""

    pid: int
    start: int
    session: int
    locks: str
    pipes: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Origin | None:
        """Read what the launcher printed; ``None`` where it had no ``/proc`` to read."""
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
        """As the walker takes it. The session counts where this process leads it, as under sshd it does."""
        return f"{self.pid}:{self.start}:{self.pid if self.session == self.pid else 0}"


@define
class Traces:
    """What was seen so far of the run with this mark."""

    mark: str
    origin: Origin | None = None
    told: bool = False
    """Whether the launcher has spoken at all: before, nothing that belongs to the run may be known."""
    seen: dict[str, None] = Factory(dict)
    overflow: bool = False

    @property
    def lasting(self) -> bool:
        """Whether the run has the mark that nothing drops."""
        return self.origin is not None and self.origin.locks == locks_of(self.mark)

    @property
    def since(self) -> int:
        """Nothing that is older is the run's."""
        return 0 if self.origin is None else self.origin.start

    @property
    def pipes(self) -> tuple[str, ...]:
        """Who holds one of these is the run's."""
        return () if self.origin is None else self.origin.pipes

    def entries(self) -> list[str]:
        """As the walker takes them."""
        return [*([] if self.origin is None else [self.origin.entry]), *self.seen]

    def add(self, line: str) -> None:
        """Take a line of the watching walker."""
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
        """What the stopping walker's lines amount to."""
        said: dict[str, list[str]] = {}
        for line in lines:
            word, _, rest = line.partition(" ")
            said.setdefault(word, []).append(_shown(rest))
        if "blind" in said:
            return Termination(False, f"the host cannot tell: {said['blind'][0]}")
        if "done" not in said:
            return Termination(False, "the search for its processes did not come to its end")
        if left := " ".join(said.get("left", ())).split():
            return Termination(False, f"still alive: {_listed(left)}")
        if not self.told:
            return Termination(False, "it was stopped before it had told who it is")
        if self.origin is None:
            return Termination(False, "the host did not tell who it is")
        if self.overflow:
            return Termination(False, f"it started more than {MAX_SEEN} processes")
        if "partly" in said:
            return Termination(False, said["partly"][0])
        if not self.lasting:
            return Termination(False, "its shell cannot mark what drops its environment")
        return Termination(True)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + more


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:4000])
