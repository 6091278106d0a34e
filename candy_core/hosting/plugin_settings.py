"""The settings of the plugins, read from the configuration with the classes that the plugins announce."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

import attrs
from packaging.utils import canonicalize_name

from candy_core.config import Configuration, setting_names
from candy_core.errors import SettingsError
from candy_core.registry import Announced, PluginState, Registry

S = TypeVar("S")


class PluginSettings:
    """Reads the settings of the plugins of one registry.

    ``warnings`` are those of the configuration, and those about sections and variables that belong to no plugin.
    """

    def __init__(self, configuration: Configuration, registry: Registry) -> None:
        self._registry = registry
        self.classes = settings_classes(registry)
        """The settings classes of each plugin that announced a record."""
        self._configuration = configuration.with_plugins(record.name for record in registry.plugins)
        self._names: Mapping[str, Collection[str] | None] = {
            # The settings of a plugin that has announced nothing are not known.
            record.name: _names(self.classes[record.name])
            if record.state is PluginState.ACTIVE and record.name in self.classes
            else None
            for record in registry.plugins
        }
        self.warnings = (
            *self._configuration.warnings,
            *self._configuration.unknown_variables(self._names),
            *_unused_blocks(configuration.settings.plugins_blocked, registry),
        )

    def read(self, plugin: str, kind: type[S]) -> S:
        """A plugin's settings as a ``kind``. Raises :class:`SettingsError` with one line."""
        return self._configuration.plugin(plugin, kind, others=self._names.get(plugin) or ())

    def errors(self) -> Mapping[str, str]:
        """One line for each plugin whose settings are wrong."""
        wrong = {}
        for plugin, kinds in self.classes.items():
            faults = []
            for kind in kinds:
                try:
                    self.read(plugin, kind)
                except SettingsError as error:
                    faults.append(str(error))
            if faults:
                wrong[plugin] = "; ".join(dict.fromkeys(faults))
        return wrong

    def require(self, required: Collection[str]) -> None:
        """Raises :class:`SettingsError` with the reason for the first required plugin that cannot be used."""
        records = {record.name: record for record in self._registry.plugins}
        wrong = self.errors()
        for name in required:
            record = records.get(name)
            if record is None:
                near = difflib.get_close_matches(name, sorted(records), n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; installed: {', '.join(sorted(records)) or 'none'}"
                raise SettingsError(f"CANDY_PLUGINS_REQUIRED: no plugin {name} is installed{hint}")
            fault = wrong.get(name) or (
                record.error or record.state if record.state is not PluginState.ACTIVE else None
            )
            if fault:
                raise SettingsError(
                    f"CANDY_PLUGINS_REQUIRED: the plugin {name} cannot be used: {' '.join(fault.split())}"
                )


def _unused_blocks(blocked: Collection[str], registry: Registry) -> Iterator[str]:
    """A warning for every entry that blocks nothing: the plugin that was meant may be running."""
    names = {record.name for record in registry.plugins}
    distributions = {canonicalize_name(record.distribution) for record in registry.plugins}
    for entry in blocked:
        if entry not in names and canonicalize_name(entry) not in distributions:
            near = difflib.get_close_matches(entry, sorted(names), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"CANDY_PLUGINS_BLOCKED: no plugin {entry} is installed{hint}"


def settings_classes(registry: Registry) -> Mapping[str, tuple[type[Any], ...]]:
    """The settings classes of every plugin, each class once."""
    kinds_of_records: tuple[Mapping[str, Announced[Any]], ...] = (
        registry.executors,
        registry.rule_backends,
        registry.reporters,
        registry.cluster_probes,
        registry.task_stores,
    )
    classes: dict[str, dict[type[Any], None]] = {}
    for records in kinds_of_records:
        for announced in records.values():
            classes.setdefault(announced.plugin, {})[announced.spec.settings] = None
    return {plugin: tuple(kinds) for plugin, kinds in classes.items()}


def _names(kinds: Collection[type[Any]]) -> Collection[str] | None:
    try:
        return frozenset(name for kind in kinds if attrs.has(kind) for name in setting_names(kind))
    except Exception:  # noqa: BLE001  # unreadable annotations: the plugin fails when it is opened
        return None
