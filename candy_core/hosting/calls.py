"""Calls into plugins, which may raise anything, and may refuse to end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from candy_core.errors import CandyError
from candy_core.faults import PluginFault

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a call may take to end once it was cancelled."""


class Calls:
    """Owns a task for each call, so that one that ignores its cancellation can be left behind.

    That is the one exception to structured concurrency: a ``TaskGroup`` would wait for such a call for ever.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._abandoned: dict[asyncio.Task[Any], str] = {}

    def hurry(self, patience: float) -> None:
        """Be less patient from now on: there is a shutdown to be met."""
        self._patience = min(self._patience, patience)

    def start(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a call. Whoever starts it ends it with :meth:`stop`, or sees it end.

        What the plugin raises comes out as :class:`PluginFault`, its cause beside it; the errors of the agent's own
        vocabulary come as they are.
        """
        return asyncio.get_running_loop().create_task(_guarded(call))

    async def stop(self, call: asyncio.Task[Any], owner: str = "") -> bool:
        """Cancel a call and wait for its end. False where it was abandoned; :meth:`gone` knows it by ``owner``."""
        if call.done():
            return True
        if call not in self._abandoned:  # else it has been told, and may be cleaning up
            call.cancel()
            # Noted before the wait, which may be cancelled itself: the loop holds tasks only weakly.
            self._abandoned[call] = owner
            call.add_done_callback(self._forget)
        await asyncio.wait((call,), timeout=self._patience)
        return call.done()

    async def gone(self, owner: str, timeout: float) -> bool:
        """Whether nothing that was abandoned of an owner is out there any more, after ``timeout`` seconds at most."""
        left = [call for call, whose in self._abandoned.items() if whose == owner]
        return not left or not (await asyncio.wait(left, timeout=timeout))[1]

    def _forget(self, call: asyncio.Task[Any]) -> None:
        del self._abandoned[call]
        if not call.cancelled():
            call.exception()  # looked at, so that the loop does not complain


async def _guarded(call: Coroutine[Any, Any, T]) -> T:
    """Turn whatever a plugin raises into one kind; ``SystemExit`` would otherwise end the event loop."""
    try:
        return await call
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise PluginFault("the plugin cancelled itself") from None
    except CandyError:
        raise
    except BaseException as error:
        raise PluginFault(f"the plugin raised {type(error).__name__}") from error
