"""The folder backend with an unreliable connection: a separate plugin, whose faults a test sets by the folder's path.

Tests with a real API server show how it fails. This backend fails in the same ways at chosen moments.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from attrs import define, evolve, field

from candy_core import (
    BackendUnavailable,
    Expect,
    PluginContext,
    Problem,
    Rule,
    RuleBackendSpec,
    RulePage,
    RuleRef,
    StoredRule,
    hookimpl,
)
from tests.testing.rule_backend.folder import SPEC, FolderBackend, FolderSettings

Fault: TypeAlias = Callable[["Call"], None]
"""Runs before and after each call. What it raises, the call raises."""


@define(frozen=True)
class Call:
    """One call. ``done`` is whether it has had its effect yet, ``number`` counts the calls of its method from 1."""

    method: str
    name: str
    number: int
    done: bool


@define
class Connection:
    """The connection to one folder."""

    fault: Fault = lambda call: None
    calls: list[tuple[str, str]] = field(factory=list)
    running: int = 0
    peak: int = 0

    def count(self, method: str) -> int:
        """The number of calls of a method."""
        return sum(called == method for called, _ in self.calls)


connections: dict[Path, Connection] = {}
"""By the folder's path."""


def cut(*, method: str, times: int, after: bool) -> Fault:
    """Cut the connection in the first calls of a method, before or after they have had their effect."""

    def fault(call: Call) -> None:
        if call.method == method and call.number <= times and call.done == after:
            raise BackendUnavailable("the connection was cut")

    return fault


class UnsteadyBackend(FolderBackend):
    """See the module."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._connection = connections.setdefault(root, Connection())

    @asynccontextmanager
    async def _counted(self, method: str, name: str) -> AsyncIterator[None]:
        connection = self._connection
        connection.calls.append((method, name))
        number = connection.count(method)
        connection.running += 1
        connection.peak = max(connection.peak, connection.running)
        try:
            connection.fault(Call(method, name, number, done=False))
            yield
            connection.fault(Call(method, name, number, done=True))
        finally:
            connection.running -= 1

    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        async with self._counted("list", namespace or ""):
            return await super().list(namespace, limit=limit, cursor=cursor)

    async def get(self, ref: RuleRef) -> StoredRule:
        async with self._counted("get", ref.name):
            return await super().get(ref)

    async def validate(self, rule: Rule) -> Sequence[Problem]:
        async with self._counted("validate", rule.ref.name):
            return await super().validate(rule)

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> StoredRule:
        async with self._counted("apply", rule.ref.name):
            return await super().apply(rule, expect, dry_run=dry_run)

    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> StoredRule:
        async with self._counted("delete", ref.name):
            return await super().delete(ref, expect, dry_run=dry_run)


@asynccontextmanager
async def open_unsteady(context: PluginContext, settings: FolderSettings) -> AsyncIterator[UnsteadyBackend]:
    """The folder ``<path>-unsteady``."""
    path = settings.path or Path("/nonexistent")
    yield UnsteadyBackend(path.with_name(f"{path.name}-unsteady"))


@hookimpl
def candy_rule_backends() -> Sequence[RuleBackendSpec[Any]]:
    """The type ``unsteady``."""
    return (evolve(SPEC, name="unsteady", aliases=(), wire_name=None, open=open_unsteady, check=None),)
