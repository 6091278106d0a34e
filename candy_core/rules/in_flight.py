"""Calls about rules that are in flight: each has a time limit, and all of them end before the agent does.

A caller must learn what became of its writes. So an agent that shuts down accepts no more of them, lets those in flight
finish within its grace time (contract section 6), and interrupts the rest: a sync then reports what it has done so far.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from attrs import define, field

from candy_core.errors import BackendUnavailable, Draining


@define(eq=False)
class InFlightWrites:
    """Limits the time of calls, and counts those that have not ended."""

    _calls: int = 0
    _timers: set[asyncio.Timeout] = field(factory=set)
    _draining: bool = False
    _interrupted_at: float = math.inf
    """When all calls are interrupted (loop time)."""
    _ended: asyncio.Event = field(factory=asyncio.Event)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around a call that may write. Raises :class:`Draining` while the agent shuts down."""
        if self._draining:
            raise Draining("The agent is shutting down and writes no more rules.")
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._ended.set()

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Limit the time of the block. Raises :class:`BackendUnavailable` when it is over."""
        try:
            async with self.until(asyncio.get_running_loop().time() + seconds) as timer:
                yield
        except TimeoutError:
            if not timer.expired():
                raise
            when = "before the agent ended" if self._interrupted_at < math.inf else f"within {seconds:g} s"
            raise BackendUnavailable(f"no answer {when}; what was requested may or may not have been done") from None

    @asynccontextmanager
    async def until(self, end: float) -> AsyncIterator[asyncio.Timeout]:
        """Interrupt the block with ``TimeoutError`` at ``end`` (loop time), or earlier if the agent ends earlier."""
        async with asyncio.timeout_at(min(end, self._interrupted_at)) as timer:
            self._timers.add(timer)
            try:
                yield timer
            finally:
                self._timers.discard(timer)

    async def drain(self, seconds: float) -> None:
        """Accept no more writes, let those in flight finish within ``seconds``, and interrupt the rest."""
        self._draining = True
        try:
            async with asyncio.timeout(seconds):
                while self._calls:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            self._interrupted_at = asyncio.get_running_loop().time()
            for timer in tuple(self._timers):
                timer.reschedule(self._interrupted_at)
