"""Keeps every plugin open while the agent runs, and reports their states."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from candy_core.errors import SettingsError
from candy_core.faults import describe
from candy_core.hosting.health import Timing
from candy_core.hosting.hosted import Hosted, HostedState
from candy_core.metrics import Metrics
from candy_core.ports.cluster_probe import ClusterProbe
from candy_core.ports.context import Logger, PluginContext
from candy_core.ports.executor import BatchExecutor, Executor
from candy_core.ports.reporter import Reporter
from candy_core.ports.rule_backend import RuleBackend
from candy_core.registry import Announced, PluginRecord, PluginState, Registry

S = TypeVar("S")
SettingsReader = Callable[[str, type[Any]], Any]
"""``(plugin, settings class) -> settings``; raises :class:`SettingsError`."""


class PluginHost:
    """Hosts every announced record except the task stores, which the agent opens first.

    :meth:`plugins` shows wrong settings from the start; connecting begins with :meth:`run`.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        context: Callable[[str], PluginContext],
        settings: SettingsReader,
        required: Collection[str],
        metrics: Metrics,
        logger: Logger,
        open_timeout: float = 5.0,
        timing: Timing | None = None,
    ) -> None:
        self._required = tuple(dict.fromkeys(required))
        self._metrics = metrics
        self._records = registry.plugins
        self._hosted: dict[int, Hosted[Any]] = {}

        def host(kind: str, announced: Announced[Any]) -> Hosted[Any]:
            existing = self._hosted.get(id(announced))
            if existing is not None:  # the same record, under an alias
                return existing
            values, error = _read(settings, announced)
            hosted: Hosted[Any] = Hosted(
                kind=kind,
                plugin=announced.plugin,
                spec=announced.spec,
                settings=values,
                error=error,
                context=context(announced.plugin),
                metrics=metrics,
                logger=logger,
                open_timeout=open_timeout,
                timing=timing or Timing(),
                on_change=lambda: self._update_metric(announced.plugin),
            )
            if error is not None:
                logger.error("plugin_settings_invalid", plugin=announced.plugin, error=error)
            return self._hosted.setdefault(id(announced), hosted)

        def host_all(kind: str, mapping: Mapping[str, Announced[Any]]) -> Mapping[str, Hosted[Any]]:
            return MappingProxyType({name: host(kind, announced) for name, announced in mapping.items()})

        self.executors: Mapping[str, Hosted[Executor[Any] | BatchExecutor[Any]]]
        self.executors = host_all("executor", registry.executors)
        self.rule_backends: Mapping[str, Hosted[RuleBackend]] = host_all("rule_backend", registry.rule_backends)
        self.reporters: Mapping[str, Hosted[Reporter]] = host_all("reporter", registry.reporters)
        self.cluster_probes: Mapping[str, Hosted[ClusterProbe]] = host_all("cluster_probe", registry.cluster_probes)
        for name in self._by_name():
            self._update_metric(name)
        for record in self._records:
            if record.error is not None:
                logger.error(
                    "plugin_load_failed" if record.state is PluginState.FAILED else "plugin_partial",
                    plugin=record.name,
                    distribution=record.distribution,
                    version=record.version,
                    error=record.error,
                )

    async def run(self) -> None:
        """Open all plugins concurrently and keep them open until canceled. Then close them, within time limits."""
        async with asyncio.TaskGroup() as group:
            for hosted in self._hosted.values():
                group.create_task(hosted.supervise(), name=f"supervisor of {hosted.plugin}")
            await asyncio.Event().wait()

    async def opened(self) -> None:
        """Return when every first attempt has succeeded, failed or timed out."""
        for hosted in self._hosted.values():
            await hosted.opened()

    def plugins(self) -> tuple[PluginRecord, ...]:
        """The current state of every installed plugin. It is failed if any of its records has failed."""
        return tuple(self._current(record) for record in self._records)

    def checks(self) -> Mapping[str, str]:
        """For ``/ready``: ``ok``, ``degraded``, ``opening``, ``failed``; if required also ``missing``, ``blocked``."""
        states = {f"plugin:{name}": self._check_state(record) for name, record in self._by_name().items()}
        shown = {key: state for key, state in states.items() if state != PluginState.BLOCKED}
        for name in self._required:
            shown.setdefault(f"plugin:{name}", states.get(f"plugin:{name}", "missing"))
        return shown

    def required_down(self) -> tuple[str, ...]:
        """The required plugins that are failed, blocked or not installed."""
        records = self._by_name()
        return tuple(
            name
            for name in self._required
            if name not in records or self._current(records[name]).state is not PluginState.ACTIVE
        )

    def _by_name(self) -> dict[str, PluginRecord]:
        """By name. Of two with the same name at most one is not blocked, or both have failed because of it."""
        records: dict[str, PluginRecord] = {}
        for record in self._records:
            if record.name not in records or records[record.name].state is PluginState.BLOCKED:
                records[record.name] = record
        return records

    def _hosted_of(self, plugin: str) -> Iterable[Hosted[Any]]:
        return (hosted for hosted in self._hosted.values() if hosted.plugin == plugin)

    def _current(self, record: PluginRecord) -> PluginRecord:
        if record.state is not PluginState.ACTIVE:
            return record
        errors = [record.error] if record.error else []
        state: PluginState = record.state
        for hosted in self._hosted_of(record.name):
            if hosted.state is HostedState.FAILED:
                state = PluginState.FAILED
                errors.append(f"{hosted.kind}:{hosted.name}: {hosted.error}")
            elif hosted.health is not None and not hosted.health.ok:
                errors.append(f"{hosted.kind}:{hosted.name} is degraded: {hosted.health.detail}")
        return attrs.evolve(record, state=state, error="; ".join(errors) or None)

    def _check_state(self, record: PluginRecord) -> str:
        if record.state is not PluginState.ACTIVE:
            return str(record.state)
        hosted = list(self._hosted_of(record.name))
        for state in (HostedState.FAILED, HostedState.OPENING):
            if any(each.state is state for each in hosted):
                return str(state)
        return "degraded" if any(each.health is not None and not each.health.ok for each in hosted) else "ok"

    def _update_metric(self, plugin: str) -> None:
        record = self._by_name().get(plugin)
        if record is not None:
            current = self._current(record).state
            for state in PluginState:
                self._metrics.plugin_state.labels(plugin, state.value).set(1 if state is current else 0)


def _read(settings: SettingsReader, announced: Announced[Any]) -> tuple[object | None, str | None]:
    """The settings of a record, or the error in them."""
    try:
        return settings(announced.plugin, announced.spec.settings), None
    except SettingsError as error:
        return None, str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # validators of the plugin's own class run here
        return None, f"creating its settings raised {describe(error)}"
