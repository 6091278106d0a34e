"""The installed rule backends, and guarded calls into them: a faulty plugin raises only errors of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from attrs import frozen

from candy_core.errors import BackendUnavailable, Invalid, Problem
from candy_core.faults import PluginFault, secrets_of, traceback_of
from candy_core.hosting import Hosted
from candy_core.hosting.calls import Calls
from candy_core.model.rule import Rule, RulePage, RuleRef, StoredRule
from candy_core.ports.context import Logger
from candy_core.ports.rule_backend import Expect, RuleBackend

T = TypeVar("T")


class BackendBroken(BackendUnavailable):
    """The plugin itself is at fault, so a retry would not help."""


@frozen(kw_only=True)
class Backend:
    """One backend, under the name that the caller used. It has the methods of the port.

    They raise only :class:`~candy_core.errors.CandyError`: a fault of the plugin is logged with its traceback and
    raised as :class:`BackendUnavailable`.
    """

    type_name: str
    hosted: Hosted[RuleBackend]
    calls: Calls
    log: Logger

    @property
    def name(self) -> str:
        """The name in the Spec, whichever alias the caller used."""
        return self.hosted.name

    @property
    def group(self) -> type[Any] | None:
        """The class of a group of a rule file."""
        kind: type[Any] | None = self.hosted.spec.group
        return kind

    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        """See :class:`~candy_core.ports.rule_backend.RuleBackend`."""
        return await self._call(lambda port: port.list(namespace, limit=limit, cursor=cursor), RulePage)

    async def get(self, ref: RuleRef) -> StoredRule:
        """See :class:`~candy_core.ports.rule_backend.RuleBackend`."""
        return await self._call(lambda port: port.get(ref), StoredRule)

    async def validate(self, rule: Rule) -> None:
        """Raises :class:`Invalid` with every problem of the rule."""
        problems: Sequence[object] = await self._call(lambda port: _listed(port.validate(rule)), tuple)
        if not all(isinstance(problem, Problem) for problem in problems):
            raise self._fault("validate returned something other than problems", None)
        if problems:
            raise Invalid(problem for problem in problems if isinstance(problem, Problem))

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> StoredRule:
        """See :class:`~candy_core.ports.rule_backend.RuleBackend`."""
        return await self._call(lambda port: port.apply(rule, expect, dry_run=dry_run), StoredRule)

    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> StoredRule:
        """See :class:`~candy_core.ports.rule_backend.RuleBackend`."""
        return await self._call(lambda port: port.delete(ref, expect, dry_run=dry_run), StoredRule)

    async def _call(self, method: Callable[[RuleBackend], Coroutine[Any, Any, T]], kind: type[T]) -> T:
        async def run() -> T:
            return await method(await self.hosted.port())

        call = self.calls.start(run())
        try:
            await asyncio.wait((call,))
        finally:  # our own cancellation cancels the call too
            if not await self.calls.stop(call, self.name):
                self.log.error("rule_call_abandoned", plugin=self.hosted.plugin, type=self.name)
            elif not call.cancelled():
                call.exception()  # retrieved, so that the event loop does not report it as never retrieved
        try:
            result = call.result()
        except (PluginFault, asyncio.CancelledError) as error:
            raise self._fault(str(error), error.__cause__) from None
        if not isinstance(result, kind):
            raise self._fault(f"it returned a {type(result).__name__} where a {kind.__name__} was expected", None)
        return result

    def _fault(self, why: str, cause: BaseException | None) -> BackendBroken:
        hidden = secrets_of(self.hosted.settings)
        trace = {"exception": traceback_of(cause, hidden=hidden)} if cause is not None else {}
        self.log.error("rule_backend_failed", plugin=self.hosted.plugin, type=self.name, error=why, **trace)
        return BackendBroken(
            f"the rule backend {self.name!r} of plugin {self.hosted.plugin!r} failed; the agent's log has the reason"
        )


async def _listed(problems: Coroutine[Any, Any, Sequence[Problem]]) -> tuple[object, ...]:
    return tuple(await problems)


class Backends:
    """Every rule backend that is installed."""

    def __init__(self, hosted: Mapping[str, Hosted[RuleBackend]], logger: Logger) -> None:
        self._hosted = hosted
        self._calls = Calls()
        self._log = logger

    def all(self) -> tuple[Backend, ...]:
        """Each backend once, sorted by name, under the spelling that the API uses."""
        found = {hosted.name: hosted for hosted in self._hosted.values()}
        return tuple(self._backend(hosted.spec.wire_name or name, hosted) for name, hosted in sorted(found.items()))

    def named(self, type_name: str) -> Backend | None:
        """The backend with this name or alias."""
        hosted = self._hosted.get(type_name)
        return self._backend(type_name, hosted) if hosted is not None else None

    def require(self, type_name: str, path: str) -> Backend:
        """The same. Raises :class:`Invalid` with the installed types if there is none."""
        found = self.named(type_name)
        if found is None:
            raise Invalid([self.unknown(path)])
        return found

    def unknown(self, path: str) -> Problem:
        """The problem of a type that no backend has (contract section 5)."""
        installed = ", ".join(backend.type_name for backend in self.all())
        return Problem(path, f"expected one of the installed types: {installed or 'there are none'}")

    def _backend(self, type_name: str, hosted: Hosted[RuleBackend]) -> Backend:
        return Backend(type_name=type_name, hosted=hosted, calls=self._calls, log=self._log)
