"""The received heartbeats and callbacks, kept in memory up to a limit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from attrs import frozen

from candy_server.signature import Signature

MAX_KEPT = 1000
"""How many of the newest heartbeats, and callbacks, are kept."""

T = TypeVar("T")


@frozen(kw_only=True)
class HeartbeatReceived:
    """One heartbeat: its time (RFC 3339), its agent, and its body with the key masked."""

    at: str
    agent_id: str
    body: dict[str, Any]


@frozen(kw_only=True)
class CallbackReceived:
    """One attempt of a callback, and the response. ``duplicate``: its Idempotency-Key was accepted before."""

    at: str
    task_id: str
    event: str
    idempotency_key: str
    signature: Signature
    duplicate: bool
    status: int
    body: dict[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether it was answered with a 2xx."""
        return 200 <= self.status < 300


class Inbox:
    """Everything received, in order, with a way to wait for more."""

    def __init__(self) -> None:
        self.heartbeats: deque[HeartbeatReceived] = deque(maxlen=MAX_KEPT)
        self.callbacks: deque[CallbackReceived] = deque(maxlen=MAX_KEPT)
        self._changed = asyncio.Condition()

    async def add(self, entry: HeartbeatReceived | CallbackReceived) -> None:
        """Keep the entry, and wake all waiters."""
        if isinstance(entry, HeartbeatReceived):
            self.heartbeats.append(entry)
        else:
            self.callbacks.append(entry)
        async with self._changed:
            self._changed.notify_all()

    def clear(self) -> None:
        """Remove all entries."""
        self.heartbeats.clear()
        self.callbacks.clear()

    async def first(
        self, entries: Callable[[], Iterable[T]], matches: Callable[[T], bool], *, timeout: float, what: str
    ) -> T:
        """Wait for the first matching entry. Raises TimeoutError with ``what`` was missing."""
        found: T | None = None

        def arrived() -> bool:
            nonlocal found
            found = next((entry for entry in entries() if matches(entry)), None)
            return found is not None

        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(arrived)
        except TimeoutError:
            raise TimeoutError(f"the stand-in for Candy-Server received no {what} within {timeout:g} s") from None
        assert found is not None
        return found
