"""One announced record, held open for the agent.

An *owner task* enters, holds and leaves the plugin's context manager: a plugin that holds a TaskGroup has its host task
cancelled when its background work fails, and that must not be the agent's own. A *supervisor*
(:meth:`Hosted.supervise`) bounds the opening and the leaving, and tries again with backoff. What ignores its
cancellation is abandoned, counted and logged: a task group would wait for it for ever.
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
    """``opening`` is the first attempt alone: what has failed stays ``failed`` until a later attempt succeeds."""

    OPENING = "opening"
    ACTIVE = "active"
    FAILED = "failed"


class PluginDown(BackendUnavailable):
    """The plugin that this needs cannot be had now; the message says why."""


@define(eq=False)
class _Attempt:
    """One entering of the plugin's context manager. ``over``: the port must not be used any more, or never came."""

    stop: asyncio.Event = field(factory=asyncio.Event)
    settled: asyncio.Event = field(factory=asyncio.Event)
    over: asyncio.Event = field(factory=asyncio.Event)
    opened_at: float | None = None
    disowned: bool = False
    error: BaseException | None = None


class Hosted(Generic[Port]):
    """One announced record. ``settings`` is ``None`` where they were wrong; then it is never opened.

    ``spec`` is typed loosely, as the four kinds have little in common: its reader knows which kind it has asked for.
    """

    def __init__(
        self,
        *,
        kind: str,
        plugin: str,
        spec: Any,
        settings: object | None,
        fault: str | None,
        context: PluginContext,
        metrics: Metrics,
        logger: Logger,
        open_timeout: float,
        timing: Timing,
        changed: Callable[[], None],
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
        self._changed = changed
        self._secrets = secrets_of(settings)
        self._port: Port | None = None
        self._state = HostedState.OPENING if fault is None else HostedState.FAILED
        self._error = fault
        self._health: Health | None = None
        self._final = fault is not None
        self._next_attempt = 0.0
        self._abandoned: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly
        self._checks = HealthChecks(
            spec.check, note=self._note, hangs=lambda: self._lost("its check"), hidden=self._secrets, timing=timing
        )
        self._first = asyncio.Event()
        if self._final:
            self._first.set()

    @property
    def state(self) -> HostedState:
        """Whether it can be used."""
        return self._state

    @property
    def error(self) -> str | None:
        """Why it has failed, in one line."""
        return self._error

    @property
    def health(self) -> Health | None:
        """What its own check said last; ``None`` before the first one, while it is down, and where it has none."""
        return self._health

    async def port(self) -> Port:
        """The open port, after waiting for the first opening. Raises :class:`PluginDown` with the reason.

        Ask for it anew for each call: after a failure it is another one.
        """
        if self._port is None and self._state is HostedState.OPENING:
            try:
                async with asyncio.timeout(self._open_timeout):
                    await self._first.wait()
            except TimeoutError:
                pass
        if self._port is None:
            wait = max(1.0, self._next_attempt - self._timing.clock())
            why = self._error or "it is not open"
            raise PluginDown(f"{self.kind} {self.name!r} of plugin {self.plugin!r} is down: {why}", retry_after=wait)
        return self._port

    async def opened(self) -> None:
        """Return when the first attempt has succeeded, failed or run out of time."""
        await self._first.wait()

    async def supervise(self) -> None:
        """Open, hold, and after a failure open again; when cancelled, leave within bounds."""
        failures = 0
        while not self._final:
            attempt = _Attempt()
            owner = asyncio.create_task(self._own(attempt), name=f"{self.kind} {self.name} of {self.plugin}")
            try:
                await self._follow(attempt)
            except asyncio.CancelledError:
                self._error = self._error or "the agent is stopping"
                raise
            finally:
                await self._end(attempt, owner)
            self._tell(attempt)
            if self._final:
                return
            failures = 1 if self._was_stable(attempt) else failures + 1
            delay = self._timing.backoff(failures)
            self._next_attempt = self._timing.clock() + delay
            self._logger.info("plugin_retry", seconds=round(delay, 1))
            await self._timing.sleep(delay)
            if not owner.done():  # abandoned: a second one beside it would only pile up
                await asyncio.wait({owner})

    async def _follow(self, attempt: _Attempt) -> None:
        """Until the attempt is over."""
        try:
            async with asyncio.timeout(self._open_timeout):
                await attempt.settled.wait()
        except TimeoutError:
            attempt.disowned = True
            self._fail(f"did not open within {self._open_timeout:g} s")
        else:
            await attempt.over.wait()

    async def _own(self, attempt: _Attempt) -> None:
        """The owner task: the only one that enters and leaves the plugin's context manager."""
        try:
            async with self._enter() as port:
                check_port(self.kind, self.spec, port)
                if attempt.disowned:
                    return
                self._succeed(attempt, port)
                watch = asyncio.create_task(self._checks.watch(port), name=f"health of {self.plugin}")
                try:
                    await attempt.stop.wait()
                finally:
                    watch.cancel()
                    self._port = None
                    if not attempt.stop.is_set():
                        self._fail("its background work has failed")
                    attempt.over.set()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # SystemExit too would end the agent
            attempt.error = error
        finally:
            if not (attempt.stop.is_set() or attempt.disowned):
                self._fail(self._reason(attempt))
            attempt.settled.set()
            attempt.over.set()

    def _enter(self) -> Any:
        manager = self.spec.open(self.context, self.settings)
        if not hasattr(type(manager), "__aenter__"):
            if asyncio.iscoroutine(manager):
                manager.close()
            raise PluginFault(
                f"open gave a {type(manager).__name__}; expected an async context manager"
                " (contextlib.asynccontextmanager makes one)"
            )
        return manager

    async def _end(self, attempt: _Attempt, owner: asyncio.Task[None]) -> None:
        """Have the owner task leave: by itself, then by cancellation, then without us."""
        attempt.stop.set()
        if attempt.opened_at is not None and not owner.done():
            await asyncio.wait({owner}, timeout=self._timing.leave)
        forced = not owner.done()
        if forced:
            owner.cancel()
            await asyncio.wait({owner}, timeout=self._timing.cancel)
        if not owner.done():
            self._abandoned.add(owner)
            owner.add_done_callback(self._abandoned.discard)
            self._lost("its opening" if attempt.opened_at is None else "its closing")
        elif attempt.error is not None and not forced and self._state is HostedState.ACTIVE:
            self._logger.warning("plugin_closing_failed", error=describe(attempt.error, hidden=self._secrets))

    def _tell(self, attempt: _Attempt) -> None:
        """After the end the reason is known, which it was not while the plugin was still leaving."""
        error = None if attempt.disowned else attempt.error
        if error is not None:
            self._fail(self._reason(attempt))
        self._final = isinstance(error, SettingsError)  # trying again would not change the settings
        if error is None or isinstance(error, CandyError | PluginFault | OSError):
            self._logger.error("plugin_failed", error=self._error)
        else:  # nothing that a plugin is expected to raise: its author will want to see where
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
        self._logger.info("plugin_open")
        self._first.set()
        attempt.settled.set()
        self._changed()

    def _fail(self, why: str) -> None:
        self._port = self._health = None
        self._state, self._error = HostedState.FAILED, why
        self._first.set()
        self._changed()

    def _note(self, health: Health) -> None:
        before, self._health = self._health, health
        if not health.ok and (before is None or before.ok):
            self._logger.warning("plugin_degraded", detail=health.detail)
        elif health.ok and before is not None and not before.ok:
            self._logger.info("plugin_recovered")
        self._changed()

    def _lost(self, what: str) -> None:
        self._metrics.plugins_abandoned.labels(self.plugin).inc()
        self._logger.error("plugin_abandoned", what=what)
