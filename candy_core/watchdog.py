"""Notices when the event loop stands still, and says whose code it stands in.

All plugins share one loop, so that one which blocks it (``time.sleep``, a synchronous client, a long computation) stops
everything. A thread of its own looks four times a second whether the loop has ticked; where it has not, the innermost
frame of a plugin's package on the loop's stack names the culprit.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Self

from candy_core.metrics import Metrics
from candy_core.ports.context import Logger

NOBODY = ""
"""The metric's label where no plugin was on the stack."""


class LoopWatchdog:
    """Watches the running loop from entering to leaving; an async context manager.

    ``packages`` gives the plugin of an import package (:attr:`Registry.packages`). A stand-still of more than
    ``threshold`` seconds is logged once, with the place, while it still lasts, and counted; its length is logged when
    it is over. ``interval``: seconds between two looks.
    """

    def __init__(
        self,
        *,
        packages: Mapping[str, str],
        metrics: Metrics,
        logger: Logger,
        threshold: float = 1.0,
        interval: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._packages = packages
        self._metrics = metrics
        self._logger = logger
        self._threshold = threshold
        self._interval = interval
        self._clock = clock
        self._last = 0.0
        self._reported: float | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._handle: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        self._last = self._clock()
        self._schedule()
        self._thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="loop-watchdog", daemon=True
        )
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._handle is not None:
            self._handle.cancel()
        if self._thread is not None:
            self._thread.join(self._interval)  # it wakes at once; and plugins may hold every thread of the loop's pool

    def _schedule(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._interval, self._tick)

    def _tick(self) -> None:
        """In the loop."""
        now = self._clock()
        still = now - self._last
        if still > self._threshold:
            if self._claim(self._last):
                # The thread did not get to run: C code that keeps the interpreter's lock, or a suspended machine.
                self._count(NOBODY, "not seen")
            self._logger.warning("event_loop_recovered", seconds=round(still, 2))
        self._metrics.loop_lag.set(max(0.0, still - self._interval))
        with self._lock:
            self._last = now
        self._schedule()

    def _watch(self, loop_thread: int) -> None:
        """In the thread."""
        while not self._stop.wait(self._interval):
            last = self._last
            if self._clock() - last <= self._threshold or self._reported == last:
                continue
            frame = sys._current_frames().get(loop_thread)
            plugin, place = self._culprit(frame)
            del frame  # it would keep alive what the loop works on
            if self._claim(last):
                self._count(plugin, place)

    def _claim(self, last: float) -> bool:
        """Whether the stand-still since ``last`` still lasts, else the frame tells nothing, and is not counted yet."""
        with self._lock:
            if self._reported == last or self._last != last:
                return False
            self._reported = last
            return True

    def _count(self, plugin: str, place: str) -> None:
        self._metrics.loop_blocked.labels(plugin).inc()
        self._logger.warning("loop_blocked", plugin=plugin or None, place=place)

    def _culprit(self, innermost: FrameType | None) -> tuple[str, str]:
        """The plugin whose frame is innermost, and the place in it; without one the innermost place of all."""
        frame = innermost
        while frame is not None:
            plugin = self._owner(str(frame.f_globals.get("__name__")))
            if plugin is not None:
                return plugin, _place(frame)
            frame = frame.f_back
        return NOBODY, "nowhere" if innermost is None else _place(innermost)

    def _owner(self, module: str) -> str | None:
        """The plugin of the longest package that ``module`` lies in."""
        while module:
            if module in self._packages:
                return self._packages[module]
            module = module.rpartition(".")[0]
        return None


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
