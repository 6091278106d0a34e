"""What an executor announces: its name, its params and settings, its scopes and batch keys."""

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
from candy_core.testing.executor.base import Stage, SuiteBase
from candy_core.testing.executor.call import Params, fail
from candy_core.testing.executor.loop_watch import no_blocking

SCOPES = frozenset(
    {
        *("tasks:read", "tasks:write", "tasks:command", "rules:read", "rules:write"),
        *("agent:read", "agent:config", "agent:upgrade", "metrics:read"),
    }
)
"""Contract section 1. A key can hold no other, so that an item that asks for one is never allowed."""


class DeclarationSuite(SuiteBase):
    """The announcement, which the core reads without opening anything."""

    def test_the_announcement_is_one_that_the_core_accepts(self, stage: Stage) -> None:
        """The name matches ``[a-z][a-z0-9_]*``, each field is what its annotation says, each setting has a default."""
        spec = stage.subject.spec
        try:
            check_spec("candy_executors", spec)
        except PluginFault as fault:
            fail(f"the core would refuse what candy_executors announces: {fault}")
        if stage.subject.plugin in RESERVED:
            fail(f"the plugin's name {stage.subject.plugin!r} is the core's own: give the entry point another one")
        twice = [name for name, times in Counter((spec.name, *spec.aliases)).items() if times > 1]
        if twice:
            fail(f"{twice[0]!r} is among the name and the aliases {spec.aliases!r} more than once: name it once")
        if spec.batch_key is None and spec.max_batch != 1:
            fail(f"max_batch is {spec.max_batch} without a batch_key: set batch_key, or leave max_batch out")

    async def test_what_is_opened_has_the_methods_of_its_port(self, stage: Stage) -> None:
        """``run_batch`` where there is a ``batch_key``, else ``run``."""
        async with stage.opened() as opened:
            try:
                check_port("executor", stage.subject.spec, opened.executor)
            except PluginFault as fault:
                fail(f"{stage.subject.spec.name}: {fault}")

    def test_params_that_were_written_can_be_read_again(self, stage: Stage) -> None:
        """``params_reader`` reads what ``to_json`` wrote: a task in a shared store is read by another replica."""
        for case in stage.subject.ordinary:
            _round_trip(stage, "params", stage.subject.spec.params, case.params)

    def test_settings_that_were_written_can_be_read_again(self, stage: Stage) -> None:
        """The same of settings, and of none: each has a default."""
        for settings in (stage.subject.settings, {}):
            _round_trip(stage, "settings", stage.subject.spec.settings, settings)

    def test_params_may_come_as_strings(self, stage: Stage) -> None:
        """Contract section 1: "strings are read as such there …; a list or an object may also come as JSON text"."""
        for case in stage.subject.ordinary:
            as_strings = {key: _as_string(value) for key, value in case.params.items() if value is not None}
            _read(stage, "params", stage.subject.spec.params, as_strings)
            first, second = stage.read(case.params), stage.read(as_strings)
            if to_json(first) != to_json(second):
                fail(
                    f"the params {stage.shown(case.params)} are read as something else where every value is a string:",
                    f"{stage.hidden(repr(second))} instead of {stage.hidden(repr(first))}",
                    "Give each field the type it has (int, float, bool, Threshold …), so that the core's reader knows.",
                )

    def test_params_and_settings_are_frozen(self, stage: Stage) -> None:
        """Both are shared by calls that run at the same time."""
        for record in (stage.read(stage.subject.ordinary[0].params), stage.settings()):
            kind: Any = type(record)
            for field in attrs.fields(kind):
                value = getattr(record, field.name)
                try:
                    setattr(record, field.name, value)
                except attrs.exceptions.FrozenError:
                    continue
                fail(f"{kind.__name__}.{field.name} can be set: decorate the class with attrs.frozen(kw_only=True)")

    async def test_scopes_are_pure(self, stage: Stage) -> None:
        """They are asked for at intake, once for every item, and decide what a caller may do."""
        scopes = stage.subject.spec.scopes
        for params in _all_params(stage):
            found = _pure(stage, "scopes", scopes, params)
            if not isinstance(found, frozenset) or not all(isinstance(scope, str) for scope in found):
                fail(f"scopes() gave {found!r} for {stage.shown(params)}; expected a frozenset of strings")
            if strange := found - SCOPES:
                fail(
                    f"scopes() gave {sorted(strange)} for {stage.shown(params)}, which no key can hold;",
                    f"the contract's scopes are {', '.join(sorted(SCOPES))}",
                )

    async def test_the_keys_of_a_batch_are_pure_and_hashable(self, stage: Stage) -> None:
        """Equal items that were read separately have equal batch, dedup and concurrency keys."""
        spec = stage.subject.spec
        keys = (("batch_key", spec.batch_key), ("dedup_key", spec.dedup_key), ("concurrency_key", spec.concurrency_key))
        for name, key in keys:
            for params in _all_params(stage) if key is not None else ():
                assert key is not None
                found = _pure(stage, name, key, params)
                try:
                    hash(found)
                except TypeError as error:
                    fail(
                        f"{name}() gave for {stage.shown(params)} what cannot be hashed ({error}):",
                        "build the key of strings, numbers, enums, frozen records and tuples of them",
                    )


def _all_params(stage: Stage) -> list[Params]:
    """Every item that the author named and that can be read."""
    subject = stage.subject
    given = [*(case.params for case in (*subject.ordinary, *subject.failures, *subject.floods)), *subject.endless]
    readable = []
    for params in given:
        try:
            stage.read(params)
        except Invalid:
            continue
        readable.append(params)
    return readable


def _pure(stage: Stage, name: str, function: Callable[[Any], Hashable], params: Params) -> Any:
    """What the function gives, asked twice about params that were read twice, with nothing that blocks."""
    first, second = stage.read(params), stage.read(params)
    before = to_json(first)
    with no_blocking(f"{name}()"):
        found, again = function(first), function(second)
    if found != again:
        fail(
            f"{name}() gave {found!r} and then {again!r} for the same params {stage.shown(params)}:",
            "it must depend on the params alone, and its parts must compare by value",
        )
    if to_json(first) != before:
        fail(f"{name}() changed the params {stage.shown(params)}: it must only read them")
    return found


def _round_trip(stage: Stage, what: str, kind: type[Any], written: Mapping[str, Json]) -> None:
    first = _read(stage, what, kind, written)
    try:
        text = to_json(first)
        dumps(text)
    except (TypeError, ValueError) as error:
        fail(
            f"{what} {kind.__name__} cannot be written as JSON: {error}",
            "Use strings, numbers, enums, Secret, frozen records, and classes with a `parse` and a `__str__`.",
        )
    second = _read(stage, f"{what} as to_json wrote them,", kind, text)
    # A Secret is written masked, and equal to nothing.
    same = to_json(second) == text if Secret.MASK in dumps(text).decode() else first == second
    if not same:
        fail(
            f"{what} {kind.__name__} that are written and read again are not the same:",
            f"{stage.hidden(repr(first))}\n{stage.hidden(repr(second))}",
            "A class with `parse` needs a `__str__` that gives what `parse` reads; every field is to be init=True.",
        )


def _read(stage: Stage, what: str, kind: type[Any], written: Any) -> object:
    try:
        return params_reader.read(written, kind)
    except Invalid as refused:
        fail(
            f"{what} {stage.hidden(repr(written))} cannot be read as {kind.__name__}:",
            *(f"  {problem.path}: {problem.message}" for problem in refused.problems),
        )


def _as_string(value: Json) -> Json:
    return value if isinstance(value, str) else dumps(value).decode()
