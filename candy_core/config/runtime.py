"""Settings that can change at run time, by /api/v1/config or a response to a heartbeat (contract section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated

from attrs import frozen
from msgspec import Meta

from candy_core.codec import params_reader, to_json
from candy_core.config.settings import Count, LogLevel, Settings
from candy_core.errors import Invalid, Problem
from candy_core.model.task import Json


@frozen(kw_only=True)
class RuntimeSettings:
    """The settings of :class:`~candy_core.config.settings.Settings` that take effect without a restart."""

    heartbeat_interval: Annotated[float, Meta(ge=0.1, le=86400)]
    log_level: LogLevel
    max_concurrent: Count
    max_concurrent_per_executor: Count
    max_running_tasks: Count


class RuntimeConfig:
    """Holds the current :class:`RuntimeSettings` and notifies subscribers of changes. Nothing is stored on disk."""

    def __init__(self, settings: RuntimeSettings) -> None:
        self._current = settings
        self._subscribers: list[Callable[[RuntimeSettings], None]] = []

    @classmethod
    def of(cls, settings: Settings) -> RuntimeConfig:
        """The runtime settings at start."""
        return cls(
            RuntimeSettings(
                heartbeat_interval=settings.heartbeat_interval,
                log_level=settings.log_level,
                max_concurrent=settings.max_concurrent,
                max_concurrent_per_executor=settings.max_concurrent_per_executor,
                max_running_tasks=settings.max_running_tasks,
            )
        )

    @property
    def current(self) -> RuntimeSettings:
        """The current values."""
        return self._current

    def apply(self, changes: Json) -> RuntimeSettings:
        """Apply all changes or none, and return the new values.

        ``changes`` is a flat object whose keys are names of settings. Raises :class:`Invalid` with every unknown name
        and wrong value. When this returns, every subscriber has been called.
        """
        if not isinstance(changes, Mapping):
            raise Invalid([Problem("$", "expected an object with the settings to change")])
        current = to_json(self._current)
        assert isinstance(current, Mapping)  # noqa: S101  # for the type checker: a record is an object
        changed = params_reader.read({**current, **changes}, RuntimeSettings)
        if changed != self._current:
            self._current = changed
            for subscriber in tuple(self._subscribers):
                subscriber(changed)
        return changed

    def subscribe(self, subscriber: Callable[[RuntimeSettings], None]) -> Callable[[], None]:
        """Call ``subscriber``, which must not raise, with all values after each change. Returns how to unsubscribe."""
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            with suppress(ValueError):  # it has unsubscribed already
                self._subscribers.remove(subscriber)

        return unsubscribe
