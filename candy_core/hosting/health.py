"""How patient the agent is with a plugin, and how it asks one whether it is able to work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from attrs import frozen

from candy_core.backoff import Backoff
from candy_core.faults import describe
from candy_core.model.secret import Secret
from candy_core.ports.context import Health


@frozen(kw_only=True)
class Timing:
    """Bounds in seconds. ``clock`` is monotonic."""

    leave: float = 3.0
    """For leaving by itself, which a TaskGroup with endless children never does; after that it is cancelled."""
    cancel: float = 2.0
    """For heeding a cancellation; after that it is abandoned."""
    check_every: float = 30.0
    check: float = 5.0
    stable: float = 60.0
    """What has worked for so long starts the backoff anew."""
    backoff: Callable[[int], float] = Backoff(first=1.0, longest=300.0, jitter=(0.5, 1.0)).delay
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic


class HealthChecks:
    """Asks a record's ``check`` again and again, each time in a task of its own, since it may hang.

    ``note`` is given each answer, ``hangs`` is called once for a check that ignores its cancellation; no second one is
    started beside it.
    """

    def __init__(
        self,
        check: Callable[[Any], Awaitable[Health]] | None,
        *,
        note: Callable[[Health], None],
        hangs: Callable[[], None],
        hidden: Collection[Secret],
        timing: Timing,
    ) -> None:
        self._check = check
        self._note = note
        self._hangs = hangs
        self._hidden = hidden
        self._timing = timing
        self._hanging: asyncio.Task[Health] | None = None

    async def watch(self, port: object) -> None:
        """Ask at once, and then every ``check_every`` seconds until cancelled."""
        while self._check is not None:
            if self._hanging is None or self._hanging.done():
                self._note(await self._ask(self._check, port))
            await asyncio.sleep(self._timing.check_every)

    async def _ask(self, check: Callable[[Any], Awaitable[Health]], port: object) -> Health:
        asking = asyncio.create_task(self._answer(check, port), name="check of a plugin")
        try:
            await asyncio.wait({asking}, timeout=self._timing.check)
            if asking.done():
                return asking.result()
            asking.cancel()
            await asyncio.wait({asking}, timeout=self._timing.cancel)
        finally:
            asking.cancel()
        if not asking.done():
            self._hanging = asking
            self._hangs()
        return Health(ok=False, detail=f"its check gave no answer within {self._timing.check:g} s")

    async def _answer(self, check: Callable[[Any], Awaitable[Health]], port: object) -> Health:
        try:
            health: object = await check(port)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a check that raises has answered too
            return Health(ok=False, detail=f"its check raised {describe(error, hidden=self._hidden)}")
        if not isinstance(health, Health):
            return Health(ok=False, detail=f"its check gave a {type(health).__name__}; expected Health")
        return health
