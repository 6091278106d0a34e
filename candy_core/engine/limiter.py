"""Bounds on how much happens at once, which may change while it does."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Limiter:
    """Like a semaphore: first come, first served. ``limit`` is asked for each time, so it may change at any moment."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.used = 0

    @property
    def limit(self) -> int:
        """The bound at this moment."""
        return self._limit()

    def take(self) -> bool:
        """Take a slot at once; false where none is free, or others wait for one."""
        if self._waiters or self.used >= self._limit():
            return False
        self.used += 1
        return True

    async def acquire(self) -> None:
        """Take a slot, waiting until one is free."""
        if self.take():
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()  # the slot was given in the same moment
            else:
                self._waiters.remove(waiter)
            raise

    def release(self) -> None:
        """Give a slot back."""
        self.used -= 1
        self.wake()

    def wake(self) -> None:
        """Give free slots to those who wait; to be called after the bound has been raised."""
        while self._waiters and self.used < self._limit():
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.used += 1
                waiter.set_result(None)


class Limiters(Generic[Key]):
    """A :class:`Limiter` for each key, whose bound ``limit`` gives. Nothing is kept of a key that is not in use."""

    def __init__(self, limit: Callable[[Key], int]) -> None:
        self._limit = limit
        self._limiters: dict[Key, Limiter] = {}
        self._users: Counter[Key] = Counter()

    def __len__(self) -> int:
        return len(self._limiters)

    @contextmanager
    def of(self, key: Key) -> Iterator[Limiter]:
        """The key's one limiter. All slots have to be given back within the context."""
        limiter = self._limiters.get(key)
        if limiter is None:
            limiter = self._limiters[key] = Limiter(lambda: self._limit(key))
        self._users[key] += 1
        try:
            yield limiter
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._limiters[key], self._users[key]

    def wake(self) -> None:
        """Give free slots to those who wait; to be called after a bound has been raised."""
        for limiter in self._limiters.values():
            limiter.wake()
