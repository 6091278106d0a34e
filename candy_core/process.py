"""The agent as a process: its event loop, signals, garbage collection and exit."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import structlog

from candy_core.app import EXIT_SECONDS, SHUTDOWN_SECONDS, running
from candy_core.config import Configuration

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(configuration: Configuration) -> int:
    """Run the agent until SIGTERM or SIGINT, and return the exit status.

    Raises :class:`SettingsError` for errors that only show when the agent starts.
    """
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        code = runner.run(_serve(configuration))
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # the interpreter restores the default for every other handler
        _force_exit_after(EXIT_SECONDS, code)
    return code


def _force_exit_after(seconds: float, code: int) -> None:
    """Exit after ``seconds`` even if a plugin's thread, or a call that ignores its cancellation, is still running.

    The event loop and the interpreter would wait for either without a limit.
    """

    def leave() -> None:
        structlog.get_logger("candy").error("forced_exit", detail="a plugin's call or thread did not end")
        os._exit(code)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # an extra; the agent is slower without it
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(configuration: Configuration) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # The default is six threads on two processors: six blocking calls of a plugin would delay every DNS lookup.
    loop.set_default_executor(ThreadPoolExecutor(configuration.settings.max_concurrent + 32, "candy"))
    for number in _STOP_SIGNALS:
        # Set once the loop is free: while plugins are imported, only the command line's handler works.
        loop.call_soon(loop.add_signal_handler, number, stop.set)
    async with running(configuration) as agent:
        _tune_garbage_collector()
        await stop.wait()
        for number in _STOP_SIGNALS:
            # A loop that closes restores the default, which would kill the agent in its last moments.
            loop.remove_signal_handler(number)
            signal.signal(number, _already_stopping)
        _force_exit_after(configuration.settings.shutdown_grace + SHUTDOWN_SECONDS, 0)
        await agent.shut_down()
    return 0


def _already_stopping(number: int, frame: FrameType | None) -> None:
    """A further signal changes nothing. Unlike ``SIG_IGN``, this is not inherited by the commands of items."""


def _tune_garbage_collector() -> None:
    """Exclude the permanent objects, mostly modules, from collection, and collect less often: few cycles are made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
