"""Waking tasks that wait for a change."""

from __future__ import annotations

import asyncio


class Signal:
    """Wakes all waiters at once; later ones wait for the next notification."""

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None

    def notify(self) -> None:
        """Wake all present waiters."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self, seconds: float) -> None:
        """Return at the next :meth:`notify`, or after ``seconds``."""
        if self._event is None:
            self._event = asyncio.Event()
        event = self._event
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


class Latch:
    """Opens once and stays open. It costs next to nothing until something waits, which for most tasks never happens."""

    __slots__ = ("_event", "_open")

    def __init__(self) -> None:
        self._open = False
        self._event: asyncio.Event | None = None

    def set(self) -> None:
        """Open it, and wake all waiters."""
        self._open = True
        if self._event is not None:
            self._event.set()

    async def wait(self) -> None:
        """Return once it is open."""
        if self._open:
            return
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()
