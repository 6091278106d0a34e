"""Checks a plugin's name, its requirements and its Specs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any, TypeAlias

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from candy_core.codec import params_reader
from candy_core.errors import Invalid
from candy_core.faults import PluginFault, guard
from candy_core.ports.cluster_probe import ClusterProbeSpec
from candy_core.ports.executor import ExecutorSpec
from candy_core.ports.reporter import ReporterSpec
from candy_core.ports.rule_backend import RuleBackendSpec
from candy_core.ports.task_store import TaskStoreSpec

AnySpec: TypeAlias = (
    ExecutorSpec[Any, Any] | RuleBackendSpec[Any] | ReporterSpec[Any] | ClusterProbeSpec[Any] | TaskStoreSpec[Any]
)

NAME = re.compile(r"[a-z][a-z0-9_]*")
RESERVED = frozenset(
    (
        *("server", "api", "agent", "task", "plugins", "tls", "max", "store", "callback_url", "listen", "cluster"),
        *("heartbeat", "shutdown", "redis_url", "test", "run"),
    )
)
"""Contract section 7: a plugin with such a name would share environment variables with the core."""

BUILT_IN_STORE = "memory"

HOOKS: dict[str, tuple[str, type[AnySpec]]] = {
    "candy_executors": ("executor", ExecutorSpec),
    "candy_rule_backends": ("rule_backend", RuleBackendSpec),
    "candy_reporters": ("reporter", ReporterSpec),
    "candy_cluster_probes": ("cluster_probe", ClusterProbeSpec),
    "candy_task_stores": ("task_store", TaskStoreSpec),
}
"""What each hook announces: the word in ``provides``, and the class of the Spec."""

_METHODS = {
    "executor": ("run",),
    "rule_backend": ("list", "get", "validate", "apply", "delete"),
    "reporter": ("deliver",),
    "cluster_probe": ("read",),
}

_CORE = canonicalize_name("candy-core")


def check_name(name: str) -> None:
    """Check the name of a plugin (contract section 7). Raises :class:`PluginFault`."""
    if not NAME.fullmatch(name):
        raise PluginFault(
            f"the entry point's name must match {NAME.pattern}, since it names a configuration section"
            " and an environment prefix"
        )
    if name in RESERVED:
        raise PluginFault(
            f"the name {name!r} is reserved for the core's own settings: give the entry point another name"
        )


def check_requirements(requires: Iterable[str], core_version: str) -> None:
    """Check a distribution's requirement of ``candy-core``. Raises :class:`PluginFault`."""
    for text in requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # not about the core: left to the installer
        if canonicalize_name(requirement.name) != _CORE:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not requirement.specifier.contains(Version(core_version), prereleases=True):
            raise PluginFault(f"requires candy-core{requirement.specifier}, but this is candy-core {core_version}")


def unknown_hook(name: str) -> PluginFault:
    """The fault of a plugin that implements a hook which does not exist."""
    near = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"the hooks are {', '.join(HOOKS)}"
    return PluginFault(f"implements a hook {name!r} that does not exist: {hint}")


def check_spec(hook: str, value: object) -> AnySpec:
    """Check that ``value`` is a valid Spec for ``hook``, and return it. Raises :class:`PluginFault`."""
    word, kind = HOOKS[hook]
    if not isinstance(value, kind):
        raise PluginFault(f"{hook} announced {_kind_of(value)}; expected {kind.__name__}")
    spec: Any = value  # a plugin may have set fields to values of any type, whatever the annotations
    if not isinstance(spec.name, str) or not NAME.fullmatch(spec.name):
        raise PluginFault(f"{hook} announced a {kind.__name__} whose name {spec.name!r} does not match {NAME.pattern}")
    if kind is TaskStoreSpec and spec.name == BUILT_IN_STORE:
        raise PluginFault(f"task_store {spec.name!r} is reserved for the core: choose another name")
    fields = {field.name for field in attrs.fields(kind)}
    for field, holds, expected in _RULES:
        if field in fields and not holds(getattr(spec, field)):
            raise PluginFault(f"{word} {spec.name!r}: {field} is {_kind_of(getattr(spec, field))}; expected {expected}")
    _check_settings(f"{word} {spec.name!r}", spec.settings)
    if kind is ExecutorSpec:
        _check_readable(f"{word} {spec.name!r}", "params", spec.params)
    if kind is RuleBackendSpec:
        if spec.group is not None:
            _check_readable(f"{word} {spec.name!r}", "group", spec.group)
        if spec.wire_name not in (None, spec.name, *spec.aliases):
            raise PluginFault(f"{word} {spec.name!r}: wire_name is neither the name nor one of the aliases")
    return value


def check_port(kind: str, spec: AnySpec, port: object) -> None:
    """Check that the object from a plugin's ``open`` has the methods of its port. Raises :class:`PluginFault`."""
    methods = _METHODS[kind]
    if isinstance(spec, ExecutorSpec) and spec.batch_key is not None:
        methods = ("run_batch",)
    missing = [name for name in methods if not callable(getattr(port, name, None))]
    if missing:
        raise PluginFault(f"open yielded {_kind_of(port)} without the method {', '.join(missing)}")


def _check_settings(who: str, settings: type[Any]) -> None:
    missing = [f.name for f in attrs.fields(settings) if f.init and f.default is attrs.NOTHING]
    if missing:
        raise PluginFault(
            f"{who}: settings {settings.__name__} has no default for {', '.join(missing)};"
            " every setting needs one, so that a plugin without settings can be opened"
        )
    _check_readable(who, "settings", settings)


def _check_readable(who: str, what: str, kind: type[Any]) -> None:
    """Check that the codec supports the class. Otherwise an unsupported type would fail only at the first item."""
    # Invalid is expected if the class has required fields.
    with guard(f"{who}: reading {what} {kind.__name__}"), suppress(Invalid):
        params_reader.read({}, kind)


def _kind_of(value: object) -> str:
    if value is None or isinstance(value, bool | int):
        return repr(value)
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(word, str) and word.strip() for word in value)


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _record(value: object) -> bool:
    return isinstance(value, type) and attrs.has(value)


def _or_none(rule: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or rule(value)


_RULES: Collection[tuple[str, Callable[[object], bool], str]] = (
    ("params", _record, "an attrs class"),
    ("settings", _record, "an attrs class"),
    ("open", callable, "a function that returns an async context manager"),
    ("aliases", _texts, "a tuple of strings"),
    ("formats", _texts, "a tuple of strings"),
    ("scopes", callable, "a function"),
    ("wants", callable, "a function"),
    ("check_callback", callable, "a function"),
    ("max_age", callable, "a function"),
    ("batch_key", _or_none(callable), "a function or None"),
    ("dedup_key", _or_none(callable), "a function or None"),
    ("concurrency_key", _or_none(callable), "a function or None"),
    ("check", _or_none(callable), "an async function or None"),
    ("max_batch", _positive, "an integer of at least 1"),
    ("max_concurrent", _or_none(_positive), "None or an integer of at least 1"),
    ("group", _or_none(_record), "an attrs class or None"),
    ("wire_name", _or_none(lambda value: isinstance(value, str)), "a string or None"),
)
