"""Finds the installed plugins, imports one, and asks it what it announces. Every fault is that plugin's alone."""

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
    """An entry point as its distribution's metadata describes it: nothing of it has been imported."""

    name: str
    distribution: str
    version: str
    module: str
    requires: tuple[str, ...] = ()
    unreadable: PluginFault | None = None
    load: Callable[[], object] = field(repr=False, eq=False)

    @property
    def label(self) -> str:
        """Distribution and version, as errors name them."""
        return f"{self.distribution} {self.version}"


def find_candidates() -> tuple[Candidate, ...]:
    """Every entry point of the group ``candy``, by name and distribution.

    A distribution that stands on the path twice counts once, the first as for an import. One whose entry points cannot
    be read is passed over, and does not hide the others.
    """
    found: dict[str, list[Candidate]] = {}
    for distribution in importlib_metadata.distributions():
        try:
            entries = list(distribution.entry_points.select(group=hookspecs.PROJECT))
        except Exception:  # noqa: BLE001, S112  # somebody's broken metadata: it may have nothing to do with us
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
    """Import a plugin and list what it announces, as pairs of a hook's name and a record.

    What it prints on the way goes to stderr: stdout belongs to the agent's answers (contract section 7).
    Raises :class:`PluginFault`, whatever the plugin raised.
    """
    if candidate.unreadable is not None:
        raise candidate.unreadable
    check_name(candidate.name)
    with guard("reading its requirements"):
        check_requirements(candidate.requires, core_version)
    with redirect_stdout(sys.stderr):
        with guard("its import"):
            plugin = candidate.load()
        with guard("asking what it announces"):
            return tuple(_announced(candidate.name, plugin))


def _announced(name: str, plugin: object) -> Iterator[tuple[str, AnySpec]]:
    # A manager for each plugin: what one of them does to it, no other one sees.
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
    # Not get_hookcallers(plugin): it compares plugins, and one may have an __eq__ of its own.
    callers = [caller for caller in vars(manager.hook).values() if caller.get_hookimpls()]
    if not callers:
        raise PluginFault(
            f"has no hook implementation: mark one of {', '.join(HOOKS)} with candy_core.hookimpl,"
            " and let the entry point name its module"
        )
    for caller in callers:
        if not caller.has_spec() and not all(impl.optionalhook for impl in caller.get_hookimpls()):
            raise unknown_hook(caller.name)
        if any(impl.wrapper or impl.hookwrapper for impl in caller.get_hookimpls()):
            raise PluginFault(f"wraps {caller.name}: hooks are collected, and may not be wrapped")
    with guard("its hooks"):
        manager.check_pending()
    for caller in callers:
        if caller.has_spec():
            yield from ((caller.name, check_spec(caller.name, value)) for value in _call(caller))


def _call(caller: pluggy.HookCaller) -> Iterable[object]:
    with guard(caller.name):
        answers: list[Any] = caller()
    if len(answers) < len(caller.get_hookimpls()):  # pluggy leaves out None
        raise PluginFault(f"{caller.name} returned None; expected an iterable of records")
    values: list[object] = []
    for answer in answers:
        if inspect.iscoroutine(answer):
            answer.close()
            raise PluginFault(f"{caller.name} is an async function; a hook announces, and is a plain one")
        if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
            raise PluginFault(f"{caller.name} returned a {type(answer).__name__}; expected an iterable of records")
        with guard(caller.name):  # a generator raises late
            values.extend(answer)
    return values


def _signature(error: pluggy.PluginValidationError) -> str:
    text = " ".join(str(error).split())
    return f"a hook implementation does not fit its hook, which takes no arguments: {text}"
