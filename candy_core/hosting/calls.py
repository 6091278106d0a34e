"""Calls into plugins. A call may raise anything, and may ignore its cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from candy_core.errors import CandyError
from candy_core.faults import PluginFault

T = TypeVar("T")

CANCEL_GRACE = 5.0
"""Seconds that a canceled call has to end before it is abandoned."""


class Calls:
    """Runs each call in a task of its own, so that a call that ignores its cancellation can be abandoned.

    This is the one exception to structured concurrency: a ``TaskGroup`` would wait for such a call forever.
    """

    def __init__(self, cancel_grace: float = CANCEL_GRACE) -> None:
        self._cancel_grace = cancel_grace
        self._canceled: dict[asyncio.Task[Any], str] = {}
        """Canceled calls that have not ended, with their owners."""

    def shorten_grace(self, cancel_grace: float) -> None:
        """Shorten the grace for a shutdown. It is never extended."""
        self._cancel_grace = min(self._cancel_grace, cancel_grace)

    def start(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a call. The caller waits for its end or ends it with :meth:`stop`.

        What the plugin raises becomes a :class:`PluginFault`, with the cause. A :class:`CandyError` is not changed.
        """
        return asyncio.get_running_loop().create_task(_guarded(call))

    async def stop(self, call: asyncio.Task[Any], owner: str = "") -> bool:
        """Cancel a call and wait for its end. False if it is abandoned; see :meth:`wait_ended` for ``owner``."""
        if call.done():
            return True
        if call not in self._canceled:  # else it is canceled already, and may be cleaning up
            call.cancel()
            # Kept before the wait, which may be canceled itself: the event loop holds only weak references to tasks.
            self._canceled[call] = owner
            call.add_done_callback(self._forget)
        await asyncio.wait((call,), timeout=self._cancel_grace)
        return call.done()

    async def wait_ended(self, owner: str, timeout: float) -> bool:
        """Wait for the canceled calls of ``owner``, at most ``timeout`` seconds. Returns whether all have ended."""
        calls = [call for call, its_owner in self._canceled.items() if its_owner == owner]
        return not calls or not (await asyncio.wait(calls, timeout=timeout))[1]

    def _forget(self, call: asyncio.Task[Any]) -> None:
        del self._canceled[call]
        if not call.cancelled():
            call.exception()  # retrieved, so that asyncio does not log it


async def _guarded(call: Coroutine[Any, Any, T]) -> T:
    """Turn what a plugin raises into :class:`PluginFault`. ``SystemExit`` would otherwise end the event loop."""
    try:
        return await call
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise PluginFault("the plugin canceled itself") from None
    except CandyError:
        raise
    except BaseException as error:
        raise PluginFault(f"the plugin raised {type(error).__name__}") from error
