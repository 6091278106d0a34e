"""The command that an item runs."""

from __future__ import annotations

import re
from typing import Literal

from attrs import field, frozen


@frozen(kw_only=True)
class NumberPattern:
    """How to find the one number in an output that holds more than a number.

    ``pattern``, a regular expression with at most one group, is searched for in each line of stdout (``^`` and ``$``
    match at line ends). ``pick`` chooses among the matches; ``count`` is how many there are. ``unit`` ``date`` reads a
    match as a date in OpenSSL's format (``May  1 12:00:00 2026 GMT``), and gives the days until then.
    """

    pattern: re.Pattern[str]
    pick: Literal["first", "last", "min", "max", "sum", "count"] = "first"
    unit: Literal["number", "date"] = "number"


@frozen(kw_only=True)
class Command:
    """A command ready to run: either ``argv``, which no shell interprets, or ``shell``, a text for a shell.

    ``label`` is its name in ``details`` and contains no secret. ``number`` comes from the template.
    """

    argv: tuple[str, ...] = field(default=(), repr=False)
    shell: str | None = field(default=None, repr=False)
    label: str
    number: NumberPattern | None = None

    def argv_for(self, shell: str) -> tuple[str, ...]:
        """The argv to execute. ``shell`` is the program that interprets a free-form command."""
        return self.argv if self.shell is None else (shell, "-c", self.shell)
