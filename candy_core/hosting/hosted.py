"""One announced record, kept open for the agent.

An *owner task* opens and closes the plugin's context manager. A TaskGroup in the plugin cancels the task that entered
it when its background work fails, so this must not be a task of the agent. A *supervisor* (:meth:`Hosted.supervise`)
limits the time for opening and closing, and retries with backoff. A task that ignores its cancellation is abandoned,
counted and logged: a task group would wait for it forever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from attrs import define, field

from candy_core.errors import BackendUnavailable, CandyError, SettingsError
from candy_core.faults import PluginFault, describe, secrets_of, traceback_of
from candy_core.hosting.health import HealthChecks, Timing
from candy_core.metrics import Metrics
from candy_core.ports.context import Health, Logger, PluginContext
from candy_core.registry.checks import check_port

Port = TypeVar("Port")


class HostedState(StrEnum):
    """``opening`` is the first attempt only. After a failure the state is ``failed`` until an attempt succeeds."""

    OPENING = "opening"
    ACTIVE = "active"
    FAILED = "failed"


class PluginDown(BackendUnavailable):
    """A plugin is not open; the message gives the reason."""


@define(eq=False)
class _Attempt:
    """One attempt to open the plugin and keep it open.

    ``stop`` asks the owner task to close it; ``open_done``: opening has succeeded or failed; ``ended``: there is no
    port any more, or never was.
    """

    stop: asyncio.Event = field(factory=asyncio.Event)
    open_done: asyncio.Event = field(factory=asyncio.Event)
    ended: asyncio.Event = field(factory=asyncio.Event)
    opened_at: float | None = None
    timed_out: bool = False
    error: BaseException | None = None


class Hosted(Generic[Port]):
    """One announced record. With an ``error`` in its settings, which are ``None`` then, it is never opened.

    ``spec`` is ``Any`` because the four kinds have little in common; a caller knows the kind.
    """

    def __init__(
        self,
        *,
        kind: str,
        plugin: str,
        spec: Any,
        settings: object | None,
        error: str | None,
        context: PluginContext,
        metrics: Metrics,
        logger: Logger,
        open_timeout: float,
        timing: Timing,
        on_change: Callable[[], None],
    ) -> None:
        self.kind = kind
        self.plugin = plugin
        self.name: str = spec.name
        self.spec = spec
        self.settings: Any = settings
        self.context = context
        self._metrics = metrics
        self._logger = logger.bind(plugin=plugin, serves=f"{kind}:{spec.name}")
        self._open_timeout = open_timeout
        self._timing = timing
        self._on_change = on_change
        self._secrets = secrets_of(settings)
        self._port: Port | None = None
        self._state = HostedState.OPENING if error is None else HostedState.FAILED
        self._error = error
        self._health: Health | None = None
        self._final = error is not None
        self._next_attempt = 0.0
        self._abandoned: set[asyncio.Task[None]] = set()  # the event loop holds only weak references to tasks
        self._checks = HealthChecks(
            spec.check,
            on_result=self._health_changed,
            on_abandoned=lambda: self._count_abandoned("its check"),
            hidden=self._secrets,
            timing=timing,
        )
        self._first_attempt_done = asyncio.Event()
        if self._final:
            self._first_attempt_done.set()

    @property
    def state(self) -> HostedState:
        """The current state."""
        return self._state

    @property
    def error(self) -> str | None:
        """Why it has failed, in one line."""
        return self._error

    @property
    def health(self) -> Health | None:
        """The last result of its check; ``None`` before the first, while it is not open, and without a check."""
        return self._health

    async def port(self) -> Port:
        """The open port; waits for the first attempt to open. Raises :class:`PluginDown` with the reason.

        Get it again for each call: after a failure it is a new object.
        """
        if self._port is None and self._state is HostedState.OPENING:
            try:
                async with asyncio.timeout(self._open_timeout):
                    await self._first_attempt_done.wait()
            except TimeoutError:
                pass
        if self._port is None:
            wait = max(1.0, self._next_attempt - self._timing.clock())
            why = self._error or "it is not open"
            raise PluginDown(f"{self.kind} {self.name!r} of plugin {self.plugin!r} is down: {why}", retry_after=wait)
        return self._port

    async def opened(self) -> None:
        """Return when the first attempt has succeeded, failed or timed out."""
        await self._first_attempt_done.wait()

    async def supervise(self) -> None:
        """Open, and open again after a failure. When canceled, close within the time limits."""
        failures = 0
        while not self._final:
            attempt = _Attempt()
            owner = asyncio.create_task(self._run_owner(attempt), name=f"{self.kind} {self.name} of {self.plugin}")
            try:
                await self._wait_for_end(attempt)
            except asyncio.CancelledError:
                self._error = self._error or "the agent is stopping"
                raise
            finally:
                await self._close(attempt, owner)
            self._report_failure(attempt)
            if self._final:
                return
            failures = 1 if self._was_stable(attempt) else failures + 1
            delay = self._timing.backoff(failures)
            self._next_attempt = self._timing.clock() + delay
            self._logger.info("plugin_retry", seconds=round(delay, 1))
            await self._timing.sleep(delay)
            if not owner.done():  # abandoned: do not open a second one while it is still running
                await asyncio.wait({owner})

    async def _wait_for_end(self, attempt: _Attempt) -> None:
        """Wait until the attempt has ended."""
        try:
            async with asyncio.timeout(self._open_timeout):
                await attempt.open_done.wait()
        except TimeoutError:
            attempt.timed_out = True
            self._fail(f"did not open within {self._open_timeout:g} s")
        else:
            await attempt.ended.wait()

    async def _run_owner(self, attempt: _Attempt) -> None:
        """The owner task: the only one that enters and exits the plugin's context manager."""
        try:
            async with self._enter() as port:
                check_port(self.kind, self.spec, port)
                if attempt.timed_out:
                    return
                self._succeed(attempt, port)
                checks = asyncio.create_task(self._checks.run(port), name=f"health of {self.plugin}")
                try:
                    await attempt.stop.wait()
                finally:
                    checks.cancel()
                    self._port = None
                    if not attempt.stop.is_set():
                        self._fail("its background work has failed")
                    attempt.ended.set()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # SystemExit would end the agent
            attempt.error = error
        finally:
            if not (attempt.stop.is_set() or attempt.timed_out):
                self._fail(self._reason(attempt))
            attempt.open_done.set()
            attempt.ended.set()

    def _enter(self) -> Any:
        manager = self.spec.open(self.context, self.settings)
        if not hasattr(type(manager), "__aenter__"):
            if asyncio.iscoroutine(manager):
                manager.close()
            raise PluginFault(
                f"open returned a {type(manager).__name__}; expected an async context manager"
                " (contextlib.asynccontextmanager creates one)"
            )
        return manager

    async def _close(self, attempt: _Attempt, owner: asyncio.Task[None]) -> None:
        """Let the owner task close; if it does not in time, cancel it; if that does not help, abandon it."""
        attempt.stop.set()
        if attempt.opened_at is not None and not owner.done():
            await asyncio.wait({owner}, timeout=self._timing.close)
        forced = not owner.done()
        if forced:
            owner.cancel()
            await asyncio.wait({owner}, timeout=self._timing.cancel)
        if not owner.done():
            self._abandoned.add(owner)
            owner.add_done_callback(self._abandoned.discard)
            self._count_abandoned("its opening" if attempt.opened_at is None else "its closing")
        elif attempt.error is not None and not forced and self._state is HostedState.ACTIVE:
            self._logger.warning("plugin_close_failed", error=describe(attempt.error, hidden=self._secrets))

    def _report_failure(self, attempt: _Attempt) -> None:
        """Log the failure. Its reason is only known after the owner task has ended."""
        error = None if attempt.timed_out else attempt.error
        if error is not None:
            self._fail(self._reason(attempt))
        self._final = isinstance(error, SettingsError)  # a retry would not change the settings
        if error is None or isinstance(error, CandyError | PluginFault | OSError):
            self._logger.error("plugin_failed", error=self._error)
        else:  # unexpected, so its author needs the traceback
            trace = traceback_of(error, hidden=self._secrets)
            self._logger.error("plugin_failed", error=self._error, exception=trace)

    def _reason(self, attempt: _Attempt) -> str:
        if attempt.error is None:
            return "it ended by itself" if attempt.opened_at is not None else "open ended without a yield"
        if isinstance(attempt.error, SettingsError | PluginFault):
            return str(attempt.error)
        return describe(attempt.error, hidden=self._secrets)

    def _was_stable(self, attempt: _Attempt) -> bool:
        return attempt.opened_at is not None and self._timing.clock() - attempt.opened_at >= self._timing.stable

    def _succeed(self, attempt: _Attempt, port: object) -> None:
        attempt.opened_at = self._timing.clock()
        self._port = cast("Port", port)
        self._state, self._error = HostedState.ACTIVE, None
        self._logger.info("plugin_opened")
        self._first_attempt_done.set()
        attempt.open_done.set()
        self._on_change()

    def _fail(self, why: str) -> None:
        self._port = self._health = None
        self._state, self._error = HostedState.FAILED, why
        self._first_attempt_done.set()
        self._on_change()

    def _health_changed(self, health: Health) -> None:
        before, self._health = self._health, health
        if not health.ok and (before is None or before.ok):
            self._logger.warning("plugin_degraded", detail=health.detail)
        elif health.ok and before is not None and not before.ok:
            self._logger.info("plugin_recovered")
        self._on_change()

    def _count_abandoned(self, what: str) -> None:
        self._metrics.plugins_abandoned.labels(self.plugin).inc()
        self._logger.error("plugin_abandoned", what=what)
