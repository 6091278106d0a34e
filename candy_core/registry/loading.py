"""Finds and imports plugins and calls their hooks. A fault of one plugin does not affect others."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from typing import Any

import importlib_metadata
import pluggy
from attrs import field, frozen
from packaging.utils import canonicalize_name

from candy_core import hookspecs
from candy_core.faults import PluginFault, guard
from candy_core.registry.checks import HOOKS, AnySpec, check_name, check_requirements, check_spec, unknown_hook


@frozen(kw_only=True)
class Candidate:
    """An entry point, known from its distribution's metadata. Nothing has been imported yet."""

    name: str
    distribution: str
    version: str
    module: str
    requires: tuple[str, ...] = ()
    unreadable: PluginFault | None = None
    load: Callable[[], object] = field(repr=False, eq=False)

    @property
    def label(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}"


def find_candidates() -> tuple[Candidate, ...]:
    """Every entry point of the group ``candy``, sorted by name and distribution.

    If a distribution is on the path twice, the first one counts, as for an import. One whose entry points cannot be
    read is skipped.
    """
    found: dict[str, list[Candidate]] = {}
    for distribution in importlib_metadata.distributions():
        try:
            entries = list(distribution.entry_points.select(group=hookspecs.PROJECT))
        except Exception:  # noqa: BLE001, S112  # the broken metadata may belong to an unrelated distribution
            continue
        if entries:
            candidates = _candidates_of(distribution, entries)
            found.setdefault(canonicalize_name(candidates[0].distribution), candidates)
    return tuple(sorted((c for each in found.values() for c in each), key=lambda c: (c.name, c.distribution)))


def _candidates_of(
    distribution: Any,  # Distribution until importlib-metadata 9, then its protocol IDistribution
    entries: Iterable[importlib_metadata.EntryPoint],
) -> list[Candidate]:
    name, version = "unknown", "unknown"
    requires: tuple[str, ...] = ()
    unreadable: PluginFault | None = None
    try:
        with guard("reading its distribution's metadata"):
            name, version = str(distribution.metadata["Name"]), str(distribution.version)
            requires = tuple(distribution.requires or ())
    except PluginFault as fault:
        unreadable = fault
    return [
        Candidate(
            name=entry.name,
            distribution=name,
            version=version,
            module=entry.value.partition(":")[0].strip(),
            requires=requires,
            unreadable=unreadable,
            load=entry.load,
        )
        for entry in entries
    ]


def load(candidate: Candidate, *, core_version: str) -> tuple[tuple[str, AnySpec], ...]:
    """Import a plugin and return what it announces, as pairs of a hook's name and a Spec.

    Its prints go to stderr, since stdout is for the output of the agent's commands (contract section 7). Raises
    :class:`PluginFault` for anything that the plugin raises.
    """
    if candidate.unreadable is not None:
        raise candidate.unreadable
    check_name(candidate.name)
    with guard("reading its requirements"):
        check_requirements(candidate.requires, core_version)
    with redirect_stdout(sys.stderr):
        with guard("its import"):
            plugin = candidate.load()
        with guard("calling its hooks"):
            return tuple(_announced(candidate.name, plugin))


def _announced(name: str, plugin: object) -> Iterator[tuple[str, AnySpec]]:
    # A manager for each plugin, so that one plugin cannot change what others see.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    if plugin is None:
        raise PluginFault("its entry point names None; expected a module or an object with hook implementations")
    try:
        with guard("reading its hook implementations"):
            manager.register(plugin, name)
    except PluginFault as fault:
        if isinstance(fault.__cause__, pluggy.PluginValidationError):
            raise PluginFault(_signature(fault.__cause__)) from None
        raise
    # Not get_hookcallers(plugin), which compares plugins: one may define __eq__.
    callers = [caller for caller in vars(manager.hook).values() if caller.get_hookimpls()]
    if not callers:
        raise PluginFault(
            f"has no hook implementation: mark one of {', '.join(HOOKS)} with candy_core.hookimpl,"
            " and name its module in the entry point"
        )
    for caller in callers:
        if not caller.has_spec() and not all(impl.optionalhook for impl in caller.get_hookimpls()):
            raise unknown_hook(caller.name)
        if any(impl.wrapper or impl.hookwrapper for impl in caller.get_hookimpls()):
            raise PluginFault(f"wraps {caller.name}: hooks are collected and must not be wrapped")
    with guard("its hooks"):
        manager.check_pending()
    for caller in callers:
        if caller.has_spec():
            yield from ((caller.name, check_spec(caller.name, value)) for value in _call(caller))


def _call(caller: pluggy.HookCaller) -> Iterable[object]:
    with guard(caller.name):
        results: list[Any] = caller()
    if len(results) < len(caller.get_hookimpls()):  # pluggy leaves out None
        raise PluginFault(f"{caller.name} returned None; expected an iterable of Specs")
    values: list[object] = []
    for result in results:
        if inspect.iscoroutine(result):
            result.close()
            raise PluginFault(f"{caller.name} is an async function; a hook must be a plain function")
        if isinstance(result, str | bytes) or not isinstance(result, Iterable):
            raise PluginFault(f"{caller.name} returned a {type(result).__name__}; expected an iterable of Specs")
        with guard(caller.name):  # a generator raises late
            values.extend(result)
    return values


def _signature(error: pluggy.PluginValidationError) -> str:
    text = " ".join(str(error).split())
    return f"a hook implementation does not fit its hook, which takes no arguments: {text}"
