"""The deadlines of a claim's items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from candy_core.engine.attempt import Attempt


class Deadlines:
    """Calls ``on_deadline`` for each attempt whose items' deadline has come.

    Items without a timeout of their own share the task's: so there is one timer for each moment, and not for each call.
    """

    def __init__(self, last: float, on_deadline: Callable[[Attempt], None]) -> None:
        self._last = last
        self._on_deadline = on_deadline
        self._loop = asyncio.get_running_loop()
        self._moments: dict[float, tuple[asyncio.TimerHandle, set[Attempt]]] = {}

    def watch(self, attempt: Attempt) -> None:
        """Watch an attempt until its deadline."""
        moment = attempt.deadline
        found = self._moments.get(moment)
        if found is None:
            found = self._moments[moment] = (self._loop.call_at(moment, self._expire, moment), set())
        found[1].add(attempt)

    def forget(self, attempt: Attempt) -> None:
        """Watch it no longer."""
        moment = attempt.deadline
        found = self._moments.get(moment)
        if found is not None:
            timer, attempts = found
            attempts.discard(attempt)
            if not attempts and moment != self._last:
                timer.cancel()
                del self._moments[moment]

    def close(self) -> None:
        """Stop watching."""
        for timer, _ in self._moments.values():
            timer.cancel()
        self._moments.clear()

    def _expire(self, moment: float) -> None:
        _, attempts = self._moments.pop(moment)
        for attempt in attempts:
            self._on_deadline(attempt)
