"""The installed plugins as one value, without global state.

:func:`discover` finds the distributions with an entry point in the group ``candy``, imports those that are not blocked,
calls their hooks and checks what they announce. Nothing is opened here. A fault of one plugin does not affect others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar

import attrs
from attrs import Factory, define, frozen
from packaging.utils import canonicalize_name

from candy_core.faults import PluginFault
from candy_core.ports.cluster_probe import ClusterProbeSpec
from candy_core.ports.executor import ExecutorSpec
from candy_core.ports.reporter import ReporterSpec
from candy_core.ports.rule_backend import RuleBackendSpec
from candy_core.ports.task_store import TaskStoreSpec
from candy_core.registry.checks import HOOKS, AnySpec
from candy_core.registry.loading import Candidate, find_candidates, load
from candy_core.version import __version__

SpecT = TypeVar("SpecT")


class PluginState(StrEnum):
    """Contract section 6. A plugin that the configuration blocks is not even imported."""

    ACTIVE = "active"
    FAILED = "failed"
    BLOCKED = "blocked"


@frozen(kw_only=True)
class PluginRecord:
    """One entry point. ``name`` is its name, ``provides`` has entries such as ``executor:prometheus``.

    ``error`` says in one line why it failed, or what an active plugin does not provide because of a name clash.
    """

    name: str
    distribution: str
    version: str
    state: PluginState
    provides: tuple[str, ...] = ()
    error: str | None = None


@frozen(kw_only=True)
class Announced(Generic[SpecT]):
    """A Spec, and the name of the plugin that announced it."""

    plugin: str
    spec: SpecT


@frozen(kw_only=True)
class Registry:
    """Everything that is installed and can be opened.

    The keys of ``executors`` and ``rule_backends`` are names and aliases, with the same :class:`Announced` for each
    spelling; the other keys are names. ``packages`` maps import packages to plugins.
    """

    plugins: tuple[PluginRecord, ...] = ()
    executors: Mapping[str, Announced[ExecutorSpec[Any, Any]]] = Factory(dict)
    rule_backends: Mapping[str, Announced[RuleBackendSpec[Any]]] = Factory(dict)
    reporters: Mapping[str, Announced[ReporterSpec[Any]]] = Factory(dict)
    cluster_probes: Mapping[str, Announced[ClusterProbeSpec[Any]]] = Factory(dict)
    task_stores: Mapping[str, Announced[TaskStoreSpec[Any]]] = Factory(dict)
    packages: Mapping[str, str] = Factory(dict)


@define(eq=False)
class _Plugin:
    """One entry point during discovery."""

    candidate: Candidate
    state: PluginState = PluginState.ACTIVE
    announced: tuple[tuple[str, Announced[Any]], ...] = ()
    provides: list[str] = Factory(list)
    errors: list[str] = Factory(list)

    def fail(self, reason: str) -> None:
        self.state = PluginState.FAILED
        self.errors.append(reason)

    def record(self) -> PluginRecord:
        return PluginRecord(
            name=self.candidate.name,
            distribution=self.candidate.distribution,
            version=self.candidate.version,
            state=self.state,
            provides=tuple(self.provides),
            error="; ".join(self.errors) or None,
        )


def discover(*, blocked: Collection[str] = (), core_version: str = __version__) -> Registry:
    """Find, import and check every plugin. A fault of a plugin never raises.

    ``blocked`` has names of plugins. A name that no plugin has is taken as the name of a distribution, so that one of
    two distributions with the same plugin name can be blocked. ``core_version`` is compared with ``Requires-Dist``.
    """
    plugins = [_Plugin(candidate) for candidate in find_candidates()]
    _block(plugins, blocked)
    _reject_duplicate_names(plugins)
    for plugin in _active(plugins):
        try:
            specs = load(plugin.candidate, core_version=core_version)
        except PluginFault as fault:
            plugin.fail(str(fault))
        else:
            plugin.announced = tuple((hook, Announced(plugin=plugin.candidate.name, spec=spec)) for hook, spec in specs)
    packages = _packages([plugin.candidate for plugin in _active(plugins)])
    assigned = {hook: _assign(hook, plugins) for hook in HOOKS}
    for plugin in _active(plugins):
        if plugin.errors and not plugin.provides:
            plugin.state = PluginState.FAILED
    return Registry(
        plugins=tuple(plugin.record() for plugin in plugins),
        executors=_frozen(assigned["candy_executors"]),
        rule_backends=_frozen(assigned["candy_rule_backends"]),
        reporters=_frozen(assigned["candy_reporters"]),
        cluster_probes=_frozen(assigned["candy_cluster_probes"]),
        task_stores=_frozen(assigned["candy_task_stores"]),
        packages=_frozen(packages),
    )


def _frozen(mapping: dict[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(mapping)


def _active(plugins: Iterable[_Plugin]) -> list[_Plugin]:
    return [plugin for plugin in plugins if plugin.state is PluginState.ACTIVE]


def _block(plugins: Collection[_Plugin], blocked: Collection[str]) -> None:
    names = {plugin.candidate.name for plugin in plugins}
    distributions = {canonicalize_name(word) for word in blocked if word not in names}
    for plugin in plugins:
        if plugin.candidate.name in blocked or canonicalize_name(plugin.candidate.distribution) in distributions:
            plugin.state = PluginState.BLOCKED


def _reject_duplicate_names(plugins: Collection[_Plugin]) -> None:
    by_name: dict[str, list[_Plugin]] = defaultdict(list)
    for plugin in _active(plugins):
        by_name[plugin.candidate.name].append(plugin)
    for same in by_name.values():
        if len(same) > 1:
            owners = " and ".join(plugin.candidate.label for plugin in same)
            for plugin in same:
                plugin.fail(
                    f"the distributions {owners} both have a plugin {plugin.candidate.name!r}, and neither is used:"
                    " uninstall one, or name its distribution in CANDY_PLUGINS_BLOCKED"
                )


_Claim: TypeAlias = tuple[_Plugin, Announced[Any]]


def _assign(hook: str, plugins: Collection[_Plugin]) -> dict[str, Announced[Any]]:
    """The Spec for each spelling of one kind. A spelling that two Specs claim belongs to neither."""
    word, _ = HOOKS[hook]
    claims = [
        (plugin, announced)
        for plugin in _active(plugins)
        for announcing, announced in plugin.announced
        if announcing == hook
    ]
    served = _resolve(claims, word, _spellings)
    if hook == "candy_reporters":
        claims = _with_own_formats([claim for claim in claims if claim[1].spec.name in served])
        served = {announced.spec.name: announced for _, announced in claims}
    for plugin, announced in claims:
        mine = [spelling for spelling in _spellings(announced.spec) if served.get(spelling) is announced]
        # The name represents its aliases. They are listed only if the name itself was lost in a clash.
        plugin.provides += [f"{word}:{spelling}" for spelling in (mine[:1] if announced.spec.name in mine else mine)]
    return served


def _resolve(
    claims: Iterable[_Claim], what: str, spellings: Callable[[Any], Iterable[str]]
) -> dict[str, Announced[Any]]:
    by_spelling: dict[str, list[_Claim]] = defaultdict(list)
    for plugin, announced in claims:
        for spelling in spellings(announced.spec):
            by_spelling[spelling].append((plugin, announced))
    served = {}
    for spelling, claimants in by_spelling.items():
        if len(claimants) == 1:
            served[spelling] = claimants[0][1]
            continue
        owners = list(dict.fromkeys(f"{p.candidate.name} ({p.candidate.label})" for p, _ in claimants))
        for plugin in {id(plugin): plugin for plugin, _ in claimants}.values():
            plugin.errors.append(
                f"{what} {spelling!r} is announced by both {' and '.join(owners)}, and neither is used:"
                " block one of them with CANDY_PLUGINS_BLOCKED"
                if len(owners) > 1
                else f"{what} {spelling!r} is announced twice by {owners[0]} and is not used"
            )
    return served


def _with_own_formats(claims: list[_Claim]) -> list[_Claim]:
    """Each reporter with the formats that no other reporter claims.

    A reporter that loses all of its formats is left out, since one without formats would get every task.
    """
    own = _resolve(claims, "reporter format", lambda spec: dict.fromkeys(spec.formats))
    kept = []
    for plugin, announced in claims:
        formats = tuple(name for name in announced.spec.formats if own.get(name) is announced)
        if formats == announced.spec.formats:
            kept.append((plugin, announced))
        elif formats:
            kept.append((plugin, attrs.evolve(announced, spec=attrs.evolve(announced.spec, formats=formats))))
    return kept


def _spellings(spec: AnySpec) -> tuple[str, ...]:
    return tuple(dict.fromkeys((spec.name, *getattr(spec, "aliases", ()))))


def _packages(candidates: Collection[Candidate]) -> dict[str, str]:
    """Import packages by plugin: the top-level package, or as much of the path as distinguishes two plugins."""
    packages: dict[str, str] = {}
    for candidate in candidates:
        path = candidate.module.split(".")
        others = [other for other in candidates if other is not candidate]
        key = next(
            (
                prefix
                for prefix in (".".join(path[:length]) for length in range(1, len(path) + 1))
                if not any(f"{other.module}.".startswith(f"{prefix}.") for other in others)
            ),
            candidate.module,
        )
        packages[key] = f"{packages[key]}, {candidate.name}" if key in packages else candidate.name
    return packages
