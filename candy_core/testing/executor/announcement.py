"""What a plugin announces about an executor: name, params, settings, scopes and batch keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import attrs

from candy_core.codec import dumps, params_reader, to_json
from candy_core.errors import Invalid
from candy_core.faults import PluginFault
from candy_core.model.secret import Secret
from candy_core.model.task import Json
from candy_core.registry.checks import RESERVED, check_port, check_spec
from candy_core.testing.executor.base import Harness, SuiteBase
from candy_core.testing.executor.call import Params, fail
from candy_core.testing.executor.loop_watch import assert_no_blocking

SCOPES = frozenset(
    {
        *("tasks:read", "tasks:write", "tasks:command", "rules:read", "rules:write"),
        *("agent:read", "agent:config", "agent:upgrade", "metrics:read"),
    }
)
"""Contract section 1. No key can have another scope, so an item that needs one is never allowed."""


class AnnouncementSuite(SuiteBase):
    """The Spec, which the core reads without opening anything."""

    def test_the_core_accepts_the_announcement(self, harness: Harness) -> None:
        """The name matches ``[a-z][a-z0-9_]*``, fields have the annotated types, settings have defaults."""
        spec = harness.subject.spec
        try:
            check_spec("candy_executors", spec)
        except PluginFault as fault:
            fail(f"the core would reject what candy_executors announces: {fault}")
        if harness.subject.plugin in RESERVED:
            fail(f"the plugin's name {harness.subject.plugin!r} is the core's own: rename the entry point")
        repeated = [name for name, times in Counter((spec.name, *spec.aliases)).items() if times > 1]
        if repeated:
            fail(f"{repeated[0]!r} is in the name and the aliases {spec.aliases!r} more than once: name it once")
        if spec.batch_key is None and spec.max_batch != 1:
            fail(f"max_batch is {spec.max_batch} without a batch_key: set batch_key, or leave max_batch out")

    async def test_the_executor_has_the_methods_of_the_port(self, harness: Harness) -> None:
        """``run_batch`` if the Spec has a ``batch_key``, else ``run``."""
        async with harness.opened() as opened:
            try:
                check_port("executor", harness.subject.spec, opened.executor)
            except PluginFault as fault:
                fail(f"{harness.subject.spec.name}: {fault}")

    def test_params_survive_a_round_trip(self, harness: Harness) -> None:
        """``params_reader`` reads what ``to_json`` wrote: another replica reads a task in a shared store."""
        for case in harness.subject.ordinary:
            _round_trip(harness, "params", harness.subject.spec.params, case.params)

    def test_settings_survive_a_round_trip(self, harness: Harness) -> None:
        """The same for settings, and for no settings, since each has a default."""
        for settings in (harness.subject.settings, {}):
            _round_trip(harness, "settings", harness.subject.spec.settings, settings)

    def test_params_may_come_as_strings(self, harness: Harness) -> None:
        """Contract section 1: "strings are read as such there …; a list or an object may also come as JSON text"."""
        for case in harness.subject.ordinary:
            as_strings = {key: _as_string(value) for key, value in case.params.items() if value is not None}
            _read(harness, "params", harness.subject.spec.params, as_strings)
            first, second = harness.read(case.params), harness.read(as_strings)
            if to_json(first) != to_json(second):
                fail(
                    f"the params {harness.display(case.params)} are read as something else if every value is a string:",
                    f"{harness.masked(repr(second))} instead of {harness.masked(repr(first))}",
                    "Annotate each field with its type (int, float, bool, Threshold …), so that the core can read it.",
                )

    def test_params_and_settings_are_frozen(self, harness: Harness) -> None:
        """Both are shared by calls that run at the same time."""
        for record in (harness.read(harness.subject.ordinary[0].params), harness.settings()):
            kind: Any = type(record)
            for field in attrs.fields(kind):
                value = getattr(record, field.name)
                try:
                    setattr(record, field.name, value)
                except attrs.exceptions.FrozenError:
                    continue
                fail(f"{kind.__name__}.{field.name} can be set: decorate the class with attrs.frozen(kw_only=True)")

    async def test_scopes_are_pure(self, harness: Harness) -> None:
        """The core calls it at intake for every item, and the result decides what a caller may do."""
        scopes = harness.subject.spec.scopes
        for params in _all_params(harness):
            found = _pure(harness, "scopes", scopes, params)
            if not isinstance(found, frozenset) or not all(isinstance(scope, str) for scope in found):
                fail(f"scopes() gave {found!r} for {harness.display(params)}; expected a frozenset of strings")
            if unknown := found - SCOPES:
                fail(
                    f"scopes() gave {sorted(unknown)} for {harness.display(params)}, which no key can hold;",
                    f"the contract's scopes are {', '.join(sorted(SCOPES))}",
                )

    async def test_batch_keys_are_pure_and_hashable(self, harness: Harness) -> None:
        """Equal items that were read separately have equal batch, dedup and concurrency keys."""
        spec = harness.subject.spec
        keys = (("batch_key", spec.batch_key), ("dedup_key", spec.dedup_key), ("concurrency_key", spec.concurrency_key))
        for name, key in keys:
            for params in _all_params(harness) if key is not None else ():
                assert key is not None
                found = _pure(harness, name, key, params)
                try:
                    hash(found)
                except TypeError as error:
                    fail(
                        f"{name}() gave for {harness.display(params)} a value that cannot be hashed ({error}):",
                        "build the key of strings, numbers, enums, frozen records and tuples of them",
                    )


def _all_params(harness: Harness) -> list[Params]:
    """The params of every item of the subject that can be read."""
    subject = harness.subject
    given = [*(case.params for case in (*subject.ordinary, *subject.failures, *subject.oversized)), *subject.endless]
    readable = []
    for params in given:
        try:
            harness.read(params)
        except Invalid:
            continue
        readable.append(params)
    return readable


def _pure(harness: Harness, name: str, function: Callable[[Any], Hashable], params: Params) -> Any:
    """The function's result, which must be the same for equal params and computed without blocking."""
    first, second = harness.read(params), harness.read(params)
    before = to_json(first)
    with assert_no_blocking(f"{name}()"):
        found, again = function(first), function(second)
    if found != again:
        fail(
            f"{name}() gave {found!r} and then {again!r} for the same params {harness.display(params)}:",
            "it must depend only on the params, and must compare by value",
        )
    if to_json(first) != before:
        fail(f"{name}() changed the params {harness.display(params)}: it must only read them")
    return found


def _round_trip(harness: Harness, what: str, kind: type[Any], written: Mapping[str, Json]) -> None:
    first = _read(harness, what, kind, written)
    try:
        text = to_json(first)
        dumps(text)
    except (TypeError, ValueError) as error:
        fail(
            f"{what} {kind.__name__} cannot be written as JSON: {error}",
            "Use strings, numbers, enums, Secret, frozen records, and classes with a `parse` and a `__str__`.",
        )
    second = _read(harness, f"{what} as to_json wrote them,", kind, text)
    # A Secret is written masked and compares unequal to everything.
    same = to_json(second) == text if Secret.MASK in dumps(text).decode() else first == second
    if not same:
        fail(
            f"{what} {kind.__name__} that are written and read again are not the same:",
            f"{harness.masked(repr(first))}\n{harness.masked(repr(second))}",
            "A class with `parse` needs a `__str__` that returns what `parse` reads; every field must have init=True.",
        )


def _read(harness: Harness, what: str, kind: type[Any], written: Any) -> object:
    try:
        return params_reader.read(written, kind)
    except Invalid as error:
        fail(
            f"{what} {harness.masked(repr(written))} cannot be read as {kind.__name__}:",
            *(f"  {problem.path}: {problem.message}" for problem in error.problems),
        )


def _as_string(value: Json) -> Json:
    return value if isinstance(value, str) else dumps(value).decode()
