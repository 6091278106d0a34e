"""One large answer in memory at a time.

Thirty-two answers of 32 MiB each, read side by side, would be a gigabyte. So whoever reads past :data:`LARGE` waits for
its turn, while its server waits for it, and keeps the turn until its answer has been judged.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import TracebackType
from typing import Self

LARGE = 1024 * 1024
"""Bytes beyond which an answer is large."""


class Turn:
    """One question's turn; used as a context manager, whose end gives the turn back if it was taken.

    ``locks`` are taken in this order: first the datasource's own, then the one of all. So of each datasource one
    question waits for the turn, and however many a slow one has, the others wait for no more than one of them.
    """

    __slots__ = ("_held", "_locks", "taken")

    def __init__(self, *locks: asyncio.Lock) -> None:
        self._locks = locks
        self._held = ExitStack()
        self.taken = False

    async def take(self) -> None:
        """Wait for the turn."""
        with ExitStack() as held:
            for lock in self._locks:
                await lock.acquire()
                held.callback(lock.release)
            self._held = held.pop_all()
        self.taken = True

    def give_back(self) -> None:
        """Let the next one in; does nothing where the turn was not taken."""
        self.taken = False
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()
