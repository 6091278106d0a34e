"""Holds every plugin open for as long as the agent lives, and says how each of them is."""

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
    """Every announced record except the task stores, which the agent opens before everything else.

    Wrong settings show at once, in :meth:`plugins`; connecting begins with :meth:`run`.
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
            known = self._hosted.get(id(announced))
            if known is not None:  # the same record, under another spelling
                return known
            values, fault = _read(settings, announced)
            hosted: Hosted[Any] = Hosted(
                kind=kind,
                plugin=announced.plugin,
                spec=announced.spec,
                settings=values,
                fault=fault,
                context=context(announced.plugin),
                metrics=metrics,
                logger=logger,
                open_timeout=open_timeout,
                timing=timing or Timing(),
                changed=lambda: self._show(announced.plugin),
            )
            if fault is not None:
                logger.error("plugin_settings_wrong", plugin=announced.plugin, error=fault)
            return self._hosted.setdefault(id(announced), hosted)

        def host_all(kind: str, mapping: Mapping[str, Announced[Any]]) -> Mapping[str, Hosted[Any]]:
            return MappingProxyType({spelling: host(kind, announced) for spelling, announced in mapping.items()})

        self.executors: Mapping[str, Hosted[Executor[Any] | BatchExecutor[Any]]]
        self.executors = host_all("executor", registry.executors)
        self.rule_backends: Mapping[str, Hosted[RuleBackend]] = host_all("rule_backend", registry.rule_backends)
        self.reporters: Mapping[str, Hosted[Reporter]] = host_all("reporter", registry.reporters)
        self.cluster_probes: Mapping[str, Hosted[ClusterProbe]] = host_all("cluster_probe", registry.cluster_probes)
        for name in self._present():
            self._show(name)
        for record in self._records:
            if record.error is not None:
                logger.error(
                    "plugin_unusable" if record.state is PluginState.FAILED else "plugin_partial",
                    plugin=record.name,
                    distribution=record.distribution,
                    version=record.version,
                    error=record.error,
                )

    async def run(self) -> None:
        """Open everything at once and hold it until cancelled; then leave every plugin, within bounds."""
        async with asyncio.TaskGroup() as group:
            for hosted in self._hosted.values():
                group.create_task(hosted.supervise(), name=f"supervisor of {hosted.plugin}")
            await asyncio.Event().wait()

    async def opened(self) -> None:
        """Return when each first attempt has succeeded, failed or run into its timeout."""
        for hosted in self._hosted.values():
            await hosted.opened()

    def plugins(self) -> tuple[PluginRecord, ...]:
        """Every installed plugin as it is now: one of which any record has failed is failed."""
        return tuple(self._now(record) for record in self._records)

    def checks(self) -> Mapping[str, str]:
        """For ``/ready``: ``ok``, ``degraded``, ``opening``, ``failed``; if required also ``missing``, ``blocked``."""
        states = {f"plugin:{name}": self._word(record) for name, record in self._present().items()}
        shown = {key: word for key, word in states.items() if word != PluginState.BLOCKED}
        for name in self._required:
            shown.setdefault(f"plugin:{name}", states.get(f"plugin:{name}", "missing"))
        return shown

    def required_down(self) -> tuple[str, ...]:
        """The required plugins that are failed, blocked or not installed."""
        present = self._present()
        return tuple(
            name
            for name in self._required
            if name not in present or self._now(present[name]).state is not PluginState.ACTIVE
        )

    def _present(self) -> dict[str, PluginRecord]:
        """By name. Of two with one name at most one is not blocked, or both have failed for it."""
        present: dict[str, PluginRecord] = {}
        for record in self._records:
            if record.name not in present or present[record.name].state is PluginState.BLOCKED:
                present[record.name] = record
        return present

    def _of(self, plugin: str) -> Iterable[Hosted[Any]]:
        return (hosted for hosted in self._hosted.values() if hosted.plugin == plugin)

    def _now(self, record: PluginRecord) -> PluginRecord:
        if record.state is not PluginState.ACTIVE:
            return record
        errors = [record.error] if record.error else []
        state: PluginState = record.state
        for hosted in self._of(record.name):
            if hosted.state is HostedState.FAILED:
                state = PluginState.FAILED
                errors.append(f"{hosted.kind}:{hosted.name}: {hosted.error}")
            elif hosted.health is not None and not hosted.health.ok:
                errors.append(f"{hosted.kind}:{hosted.name} is degraded: {hosted.health.detail}")
        return attrs.evolve(record, state=state, error="; ".join(errors) or None)

    def _word(self, record: PluginRecord) -> str:
        if record.state is not PluginState.ACTIVE:
            return str(record.state)
        hosted = list(self._of(record.name))
        for state in (HostedState.FAILED, HostedState.OPENING):
            if any(each.state is state for each in hosted):
                return str(state)
        return "degraded" if any(each.health is not None and not each.health.ok for each in hosted) else "ok"

    def _show(self, plugin: str) -> None:
        record = self._present().get(plugin)
        if record is not None:
            now = self._now(record).state
            for state in PluginState:
                self._metrics.plugin_state.labels(plugin, state.value).set(1 if state is now else 0)


def _read(settings: SettingsReader, announced: Announced[Any]) -> tuple[object | None, str | None]:
    """The settings of a record, or why they cannot be had."""
    try:
        return settings(announced.plugin, announced.spec.settings), None
    except SettingsError as error:
        return None, str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # validators of the plugin's own class run here
        return None, f"making its settings raised {describe(error)}"
