"""Why a host could not be worked on, before any command ran there."""

from __future__ import annotations

import os
import re

from candy_core import Reason

_CONNECT_FAILED = re.compile(r"\[Errno ([0-9]+)\] Connect call failed")
"""How asyncio puts whatever kept it from connecting: once for each address of a name."""


class Unable(Exception):
    """``reason`` is the machine's word; ``why`` says in a few words, without secrets, what happened."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why

    def again(self) -> Unable:
        """The same, for somebody else who waited for it."""
        return Unable(self.reason, self.why)


def reason_of(error: BaseException) -> str:
    """What somebody else's error says, on one line of readable characters."""
    text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, OSError) and "Connect call failed" in text:
        text = _CONNECT_FAILED.sub(lambda found: os.strerror(int(found[1])), str(error))
    return "".join(each if each.isprintable() else " " for each in " ".join(str(text).split()))[:300]
