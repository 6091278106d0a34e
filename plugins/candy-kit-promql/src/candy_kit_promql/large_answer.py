"""One large answer in memory at a time.

Thirty-two answers of 32 MiB each, read side by side, would be a gigabyte. So a query that has read more than
:data:`LARGE` bytes waits for a lock, and keeps it until its answer has been judged. Its server waits meanwhile.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import TracebackType
from typing import Self

LARGE = 1024 * 1024
"""Bytes beyond which an answer is large."""


class LargeAnswerLock:
    """One query's hold on the locks for large answers; leaving its context releases them if they are held.

    ``locks`` are acquired in this order: the datasource's own, then the one that all datasources share. So each
    datasource has at most one query waiting for the shared lock, and a slow datasource delays the others by one answer.
    """

    __slots__ = ("_locks", "_release", "held")

    def __init__(self, *locks: asyncio.Lock) -> None:
        self._locks = locks
        self._release = ExitStack()
        self.held = False

    async def acquire(self) -> None:
        """Wait for the locks."""
        with ExitStack() as acquired:
            for lock in self._locks:
                await lock.acquire()
                acquired.callback(lock.release)
            self._release = acquired.pop_all()
        self.held = True

    def release(self) -> None:
        """Release the locks; does nothing if they are not held."""
        self.held = False
        self._release.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
