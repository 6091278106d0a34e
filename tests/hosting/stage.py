"""A host of the plugins on the shelf, and what its tests look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from textwrap import dedent
from typing import Any

from structlog.testing import LogCapture

from candy_core.config import load_configuration
from candy_core.hosting import PluginHost, Timing
from candy_core.metrics import Metrics
from candy_core.ports.context import Logger
from candy_core.registry import PluginState, discover

QUICK = Timing(check_every=0.02, backoff=lambda failures: 0.02)
"""It asks and tries often. A bound that a plugin must keep is long, for who is slow may be the machine: a test that is
about a bound which is not kept shortens that one."""


class Stage:
    """A host and all that it was built of."""

    def __init__(self, shelf: Any, logger: Logger, captured: LogCapture, context: Any) -> None:
        self._elsewhere = shelf.elsewhere
        self.metrics = Metrics("0")
        self.captured = captured
        self._logger = logger
        self._context = context

    @asynccontextmanager
    async def running(
        self,
        *,
        timing: Timing = QUICK,
        environ: Mapping[str, str] | None = None,
        required: Collection[str] = (),
        blocked: Collection[str] = (),
        open_timeout: float = 60.0,
    ) -> AsyncIterator[PluginHost]:
        """A host of the plugins on the shelf alone."""
        configuration = load_configuration(None, environ or {}, hostname="host")
        registry = discover(blocked=[*blocked, *self._elsewhere])
        host = PluginHost(
            registry,
            context=self._context,
            settings=configuration.plugin,
            required=required,
            metrics=self.metrics,
            logger=self._logger,
            open_timeout=open_timeout,
            timing=timing,
        )
        task = asyncio.create_task(host.run())
        try:
            await host.opened()
            yield host
        finally:
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()

    def state(self, plugin: str) -> str:
        """The state that ``/metrics`` shows."""
        shown = [
            state.value
            for state in PluginState
            if self.metrics.registry.get_sample_value("candy_plugin_state", {"plugin": plugin, "state": state.value})
        ]
        assert len(shown) == 1
        return shown[0]

    def abandoned(self, plugin: str) -> float:
        """What was abandoned of a plugin, from ``/metrics``."""
        return self.metrics.registry.get_sample_value("candy_plugins_abandoned_total", {"plugin": plugin}) or 0.0

    def logged(self) -> str:
        """Everything in the log, as one text."""
        return str(self.captured.entries)


def record(host: PluginHost, name: str) -> Any:
    (found,) = [plugin for plugin in host.plugins() if plugin.name == name]
    return found


def plugin(body: str, spec: str = "greeter('hello', open=open_it, aliases=('hi',))") -> str:
    """Source of a plugin with one executor; ``body`` defines ``open_it``."""
    return f"{dedent(body)}\n@hookimpl\ndef candy_executors():\n    return [{spec}]\n"


GOOD = plugin("open_it = open_greeter", "greeter('good')")
