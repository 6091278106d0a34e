"""Detects a blocked event loop and the plugin that blocks it.

All plugins share one loop, so a plugin that blocks it (``time.sleep``, a synchronous client, a long computation) stops
everything. A thread checks four times a second whether the loop has ticked. If not, the innermost frame of a plugin's
package on the loop's stack identifies the plugin.
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

NO_PLUGIN = ""
"""The metric's label if no plugin is on the stack."""


class LoopWatchdog:
    """Watches the running loop; an async context manager.

    ``packages`` maps import packages to plugins (:attr:`Registry.packages`). A block of more than ``threshold`` seconds
    is counted, and logged with its location while it lasts; its length is logged at its end. ``interval`` is the time
    between two checks, in seconds.
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
            self._thread.join(self._interval)  # not in the loop's thread pool: plugins may occupy all of it

    def _schedule(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._interval, self._tick)

    def _tick(self) -> None:
        """Runs in the loop."""
        now = self._clock()
        elapsed = now - self._last
        if elapsed > self._threshold:
            if self._claim(self._last):
                # The thread could not run: C code that holds the interpreter lock, or a suspended machine.
                self._report(NO_PLUGIN, "unknown")
            self._logger.warning("event_loop_recovered", seconds=round(elapsed, 2))
        self._metrics.loop_lag.set(max(0.0, elapsed - self._interval))
        with self._lock:
            self._last = now
        self._schedule()

    def _watch(self, loop_thread: int) -> None:
        """Runs in the thread."""
        while not self._stop.wait(self._interval):
            last = self._last
            if self._clock() - last <= self._threshold or self._reported == last:
                continue
            frame = sys._current_frames().get(loop_thread)
            plugin, location = self._blocking_plugin(frame)
            del frame  # it would keep the loop's objects alive
            if self._claim(last):
                self._report(plugin, location)

    def _claim(self, last: float) -> bool:
        """Whether the block since ``last`` still lasts, so that its frame is valid, and has not been reported yet."""
        with self._lock:
            if self._reported == last or self._last != last:
                return False
            self._reported = last
            return True

    def _report(self, plugin: str, location: str) -> None:
        self._metrics.loop_blocked.labels(plugin).inc()
        self._logger.warning("event_loop_blocked", plugin=plugin or None, location=location)

    def _blocking_plugin(self, innermost: FrameType | None) -> tuple[str, str]:
        """The plugin with the innermost frame, and its location; without a plugin the innermost location."""
        frame = innermost
        while frame is not None:
            plugin = self._owner(str(frame.f_globals.get("__name__")))
            if plugin is not None:
                return plugin, _location(frame)
            frame = frame.f_back
        return NO_PLUGIN, "unknown" if innermost is None else _location(innermost)

    def _owner(self, module: str) -> str | None:
        """The plugin of the longest package that contains ``module``."""
        while module:
            if module in self._packages:
                return self._packages[module]
            module = module.rpartition(".")[0]
        return None


def _location(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
