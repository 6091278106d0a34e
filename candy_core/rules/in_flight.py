"""Calls about rules that are under way: each bounded in time, and all of them ended before the agent does.

Whoever has asked for writes is to hear what became of them. So an agent that ends takes no more of them, lets those
under way end within its grace (contract section 6), and cuts the rest short: a sync tells what it has done by then.
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
    """Bounds calls, and knows which of them have not ended."""

    _calls: int = 0
    _timers: set[asyncio.Timeout] = field(factory=set)
    _draining: bool = False
    _over: float = math.inf
    """When everything is cut short (loop time)."""
    _ended: asyncio.Event = field(factory=asyncio.Event)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around a call that may write. Raises :class:`Draining` where the agent is on its way out."""
        if self._draining:
            raise Draining("The agent is on its way out and writes no more rules.")
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._ended.set()

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Bound what is done inside; raises :class:`BackendUnavailable` when the time is up."""
        try:
            async with self.until(asyncio.get_running_loop().time() + seconds) as timer:
                yield
        except TimeoutError:
            if not timer.expired():
                raise
            why = "before the agent ended" if self._over < math.inf else f"within {seconds:g} s"
            raise BackendUnavailable(f"no answer {why}; what was asked for may or may not have been done") from None

    @asynccontextmanager
    async def until(self, end: float) -> AsyncIterator[asyncio.Timeout]:
        """Cut short at ``end`` (loop time), or where the agent ends before, by ``TimeoutError``."""
        async with asyncio.timeout_at(min(end, self._over)) as timer:
            self._timers.add(timer)
            try:
                yield timer
            finally:
                self._timers.discard(timer)

    async def drain(self, seconds: float) -> None:
        """Take no more writes, and let what is under way end within ``seconds``; what has not by then is cut short."""
        self._draining = True
        try:
            async with asyncio.timeout(seconds):
                while self._calls:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            self._over = asyncio.get_running_loop().time()
            for timer in tuple(self._timers):
                timer.reschedule(self._over)
