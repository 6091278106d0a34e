"""Time limits for plugins, and their health checks."""

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
    """Time limits in seconds. ``clock`` is monotonic."""

    close: float = 3.0
    """For closing without cancellation. A TaskGroup with endless tasks never closes; it is canceled after this."""
    cancel: float = 2.0
    """For ending once canceled; after that the plugin's task is abandoned."""
    check_every: float = 30.0
    check: float = 5.0
    stable: float = 60.0
    """The backoff starts anew for a plugin that has worked for this long."""
    backoff: Callable[[int], float] = Backoff(first=1.0, longest=300.0, jitter=(0.5, 1.0)).delay
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic


class HealthChecks:
    """Calls a record's ``check`` periodically, each time in a task of its own, since it may hang.

    ``on_result`` receives each result. ``on_abandoned`` is called for a check that ignores its cancellation; no other
    check starts until that one has ended.
    """

    def __init__(
        self,
        check: Callable[[Any], Awaitable[Health]] | None,
        *,
        on_result: Callable[[Health], None],
        on_abandoned: Callable[[], None],
        hidden: Collection[Secret],
        timing: Timing,
    ) -> None:
        self._check = check
        self._on_result = on_result
        self._on_abandoned = on_abandoned
        self._hidden = hidden
        self._timing = timing
        self._abandoned: asyncio.Task[Health] | None = None

    async def run(self, port: object) -> None:
        """Check at once, and then every ``check_every`` seconds until canceled."""
        while self._check is not None:
            if self._abandoned is None or self._abandoned.done():
                self._on_result(await self._run_check(self._check, port))
            await asyncio.sleep(self._timing.check_every)

    async def _run_check(self, check: Callable[[Any], Awaitable[Health]], port: object) -> Health:
        task = asyncio.create_task(self._result(check, port), name="check of a plugin")
        try:
            await asyncio.wait({task}, timeout=self._timing.check)
            if task.done():
                return task.result()
            task.cancel()
            await asyncio.wait({task}, timeout=self._timing.cancel)
        finally:
            task.cancel()
        if not task.done():
            self._abandoned = task
            self._on_abandoned()
        return Health(ok=False, detail=f"its check gave no answer within {self._timing.check:g} s")

    async def _result(self, check: Callable[[Any], Awaitable[Health]], port: object) -> Health:
        try:
            health: object = await check(port)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a check that raises has failed
            return Health(ok=False, detail=f"its check raised {describe(error, hidden=self._hidden)}")
        if not isinstance(health, Health):
            return Health(ok=False, detail=f"its check returned a {type(health).__name__}; expected Health")
        return health
