"""A plugin host for the test's own plugins, and what its tests check."""

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
"""It checks and retries often. Limits that a plugin has to keep are long, since it may be the machine that is slow: a
test about a limit that is not kept shortens that one."""


class HostBench:
    """A plugin host and its dependencies."""

    def __init__(self, site: Any, logger: Logger, captured: LogCapture, context: Any) -> None:
        self._elsewhere = site.elsewhere
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
        """A host of the test's own plugins only."""
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
        """The state in ``/metrics``."""
        states = [
            state.value
            for state in PluginState
            if self.metrics.registry.get_sample_value("candy_plugin_state", {"plugin": plugin, "state": state.value})
        ]
        assert len(states) == 1
        return states[0]

    def abandoned(self, plugin: str) -> float:
        """How often a plugin was abandoned, from ``/metrics``."""
        return self.metrics.registry.get_sample_value("candy_plugins_abandoned_total", {"plugin": plugin}) or 0.0

    def logged(self) -> str:
        """The whole log as one string."""
        return str(self.captured.entries)


def record(host: PluginHost, name: str) -> Any:
    (found,) = [plugin for plugin in host.plugins() if plugin.name == name]
    return found


def plugin(body: str, spec: str = "greeter('hello', open=open_it, aliases=('hi',))") -> str:
    """Source of a plugin with one executor. ``body`` defines ``open_it``."""
    return f"{dedent(body)}\n@hookimpl\ndef candy_executors():\n    return [{spec}]\n"


GOOD = plugin("open_it = open_greeter", "greeter('good')")
