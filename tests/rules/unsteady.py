"""The folder backend with a bad connection: a plugin of its own, whose troubles a test sets by the folder's path.

What a real API server does to its clients is tried with a real one, where there is one; this does it at chosen moments.
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

Trouble: TypeAlias = Callable[["Call"], None]
"""Is told of each call before and after it; what it raises, the call raises."""


@define(frozen=True)
class Call:
    """One call: ``done`` tells whether it has had its effect by now, ``number`` which of its method's it is, from 1."""

    method: str
    name: str
    number: int
    done: bool


@define
class Dispatcher:
    """The connection to one folder."""

    trouble: Trouble = lambda call: None
    calls: list[tuple[str, str]] = field(factory=list)
    running: int = 0
    most: int = 0

    def count(self, method: str) -> int:
        """How many calls of a method there were."""
        return sum(called == method for called, _ in self.calls)


lines: dict[Path, Dispatcher] = {}
"""By the folder's path."""


def cut(*, method: str, times: int, after: bool) -> Trouble:
    """The connection is cut in the first calls of a method, before or after they have had their effect."""

    def trouble(call: Call) -> None:
        if call.method == method and call.number <= times and call.done == after:
            raise BackendUnavailable("the connection was cut")

    return trouble


class UnsteadyBackend(FolderBackend):
    """See the module."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._line = lines.setdefault(root, Dispatcher())

    @asynccontextmanager
    async def _over_the_line(self, method: str, name: str) -> AsyncIterator[None]:
        line = self._line
        line.calls.append((method, name))
        number = line.count(method)
        line.running += 1
        line.most = max(line.most, line.running)
        try:
            line.trouble(Call(method, name, number, done=False))
            yield
            line.trouble(Call(method, name, number, done=True))
        finally:
            line.running -= 1

    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        async with self._over_the_line("list", namespace or ""):
            return await super().list(namespace, limit=limit, cursor=cursor)

    async def get(self, ref: RuleRef) -> StoredRule:
        async with self._over_the_line("get", ref.name):
            return await super().get(ref)

    async def validate(self, rule: Rule) -> Sequence[Problem]:
        async with self._over_the_line("validate", rule.ref.name):
            return await super().validate(rule)

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> StoredRule:
        async with self._over_the_line("apply", rule.ref.name):
            return await super().apply(rule, expect, dry_run=dry_run)

    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> StoredRule:
        async with self._over_the_line("delete", ref.name):
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
