"""How a command ended."""

from __future__ import annotations

from attrs import frozen

RUN_MARKER = "CANDY_RUN"
"""The environment variable that marks the processes of a run: a random value, inherited and readable in ``/proc``."""


@frozen
class Captured:
    """What was kept of a stream: readable text, and ``cut``, the number of bytes after it that were dropped.

    ``kept`` is the number of bytes from which the text was made, which may itself have more. ``found`` says whether the
    text that was searched for occurred anywhere in the stream; ``None``: there was no search.
    """

    text: str
    cut: int = 0
    found: bool | None = None
    kept: int = 0


@frozen
class Termination:
    """Whether every process that the command started is known to have ended; ``detail`` says why that is not known."""

    verified: bool
    detail: str = ""


@frozen(kw_only=True)
class CommandResult:
    """How a command ended, and what it wrote.

    ``exit_code`` or ``signal`` (the one that killed it) is set, or neither where the end was not observed.
    ``termination`` is set when something had to be terminated: the command itself, or processes it had left behind.
    """

    exit_code: int | None
    signal: int | None = None
    stdout: Captured
    stderr: Captured
    termination: Termination | None = None
