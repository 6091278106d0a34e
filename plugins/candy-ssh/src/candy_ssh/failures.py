"""Why a command could not be run on a host."""

from __future__ import annotations

import os
import re

from candy_core import Reason

_CONNECT_FAILED = re.compile(r"\[Errno ([0-9]+)\] Connect call failed")
"""asyncio's message for a failed connection. A name with several addresses has one of these for each address."""


class HostFailure(Exception):
    """No command can be run on a host. ``why`` says in a few words, without secrets, what happened."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why

    def copy(self) -> HostFailure:
        """A new exception with the same cause, for another caller that waited for the same connection."""
        return HostFailure(self.reason, self.why)


def cause_of(error: BaseException) -> str:
    """The message of an error from a library, on one line of printable characters."""
    text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, OSError) and "Connect call failed" in text:
        text = _CONNECT_FAILED.sub(lambda found: os.strerror(int(found[1])), str(error))
    return "".join(each if each.isprintable() else " " for each in " ".join(str(text).split()))[:300]
