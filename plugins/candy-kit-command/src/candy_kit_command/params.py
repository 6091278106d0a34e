"""The params of items that run a command, and the settings for such items (contract section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from attrs import Factory, field, frozen

from candy_core import Json, Meta, Mismatch, Threshold

MAX_COMMAND = 65_536
"""Characters of a free-form command. Linux allows 128 KiB in one argument, and a character may be several bytes."""

COMMAND_SCOPE = "tasks:command"


@frozen
class OutputThreshold:
    """What an output must not be or contain: a number that breaches ``limit``, or ``text``; one of them is set.

    ``written`` is what the caller wrote.
    """

    written: str
    limit: Threshold | None = None
    text: str | None = None

    @classmethod
    def parse(cls, text: str) -> OutputThreshold:
        """A number, a comparison or a Nagios range is a limit; any other text is searched for in the output.

        Raises ``ValueError`` for an empty text, which every output contains, and for a NUL.
        """
        try:
            return cls(text, limit=Threshold.parse(text))
        except ValueError:
            pass
        if not text or "\0" in text:
            raise ValueError("expected a number, a comparison, a range, or a text to look for in the output")
        return cls(text, text=text)

    def __str__(self) -> str:
        return self.written


@frozen(kw_only=True)
class CommandParams:
    """The base class of a command item's params. Either ``template`` (with ``args``) or ``command`` is required.

    A plugin adds fields in a subclass; a ``__attrs_post_init__`` of its own must call this one first.
    """

    template: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    args: Mapping[str, Json] = field(factory=dict, repr=False)
    command: Annotated[str, Meta(max_length=MAX_COMMAND, pattern=r"\S")] | None = field(default=None, repr=False)
    threshold: OutputThreshold | None = None
    critical: Threshold | None = None
    nagios: bool = False

    def __attrs_post_init__(self) -> None:
        if (self.template is None) == (self.command is None):
            raise Mismatch("expected either template or command")
        if self.command is not None and self.args:
            raise Mismatch("expected args only with template")
        if self.command is not None and "\0" in self.command:
            raise Mismatch("expected a command without NUL")


def command_scopes(params: CommandParams) -> frozenset[str]:
    """The scopes that the caller's key must have: ``tasks:command`` for an item with a free-form command."""
    return frozenset() if params.command is None else frozenset({COMMAND_SCOPE})


@frozen(kw_only=True)
class CommandSettings:
    """The settings that all command plugins share.

    ``templates`` are files with further templates; one with the name of a built-in template replaces it.
    """

    allow_command: bool = False
    templates: tuple[Path, ...] = Factory(tuple)
    builtin_templates: bool = True
