"""Rule backends: where alert rules of one ``type`` are kept (contract section 5).

Sync, drift and prune are the core's, over these five methods; it also reads ``content``, keeps what it needs in
annotations, and asks :meth:`RuleBackend.validate` before it writes. Names of objects, who manages them, versions and
the errors of a cluster are the backend's. Every implementation passes the suite
:class:`candy_core.testing.rule_backend.RuleBackendSuite`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from attrs import frozen

from candy_core.errors import Problem
from candy_core.model.rule import Rule, RulePage, RuleRef, StoredRule
from candy_core.ports.context import Health, PluginContext

S = TypeVar("S")


@frozen
class Absent:
    """The object must not be there yet: ``Exists`` where it is, whoever keeps it and whatever its original name."""


@frozen
class Version:
    """The object must be there (``NotFound``) and still be of this version (``Stale``)."""

    version: str


@frozen
class Anything:
    """Whatever is there now: replaced, or made where there is nothing. A delete still needs something to delete."""


Expect: TypeAlias = Absent | Version | Anything


class RuleBackend(Protocol):
    """Keeps rules. Every method is safe to call from many tasks at once, and bounded in time by the backend itself.

    Raised are the kinds of :mod:`candy_core.errors`: those that the methods name, ``Invalid`` for a rule that the
    backend's other side refuses (paths as :meth:`validate` has them), ``Forbidden`` where the agent's own identity may
    not do this, and ``BackendUnavailable`` (or another ``Retriable``) where it cannot be asked now: no cluster, no CRD,
    a time-out. After one of these a write may have happened all the same. Whoever cancels a call leaves nothing of it
    running.
    """

    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        """A page of the rules of a namespace, of all namespaces for ``None``: every one once, in a stable order.

        Rules that the agent does not manage are among them. ``limit`` (at least 1) is the most that a page holds; it
        may hold fewer, even none, before the last. Raises ``Invalid`` for a cursor that is none of the backend's.
        """
        ...

    async def get(self, ref: RuleRef) -> StoredRule:
        """The rule of that name. Raises ``NotFound``, also where its object is kept for another original name."""
        ...

    async def validate(self, rule: Rule) -> Sequence[Problem]:
        """Everything wrong with the rule, with paths such as ``$.groups[0].rules[1].expr``; writes nothing.

        What cannot be asked now, a server's opinion say, is no problem of the rule's.
        """
        ...

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> StoredRule:
        """Make the object be this, and give what is there then. Of racing calls with one ``expect`` one succeeds.

        With ``dry_run`` everything is checked and nothing written; the answer is what would be there. Raises, looked at
        in this order, ``Exists`` or ``NotFound``, ``NotManaged``, ``Stale``, and ``FieldConflict``, which names who
        owns the field.
        """
        ...

    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> StoredRule:
        """Remove the object, and give what it was. ``Absent`` makes no sense here, and finds nothing to delete.

        Raises, looked at in this order, ``NotFound`` (as :meth:`get`), ``NotManaged``, ``Stale``.
        """
        ...


@frozen(kw_only=True)
class RuleBackendSpec(Generic[S]):
    """Announces a backend; ``name`` is the rule ``type`` on the wire, ``aliases`` further spellings of it.

    ``group`` is the attrs class of *one* group of a rule file of this backend. The core structures each group with it
    as it does item params (``"10"`` is 10 where a number is meant, unknown keys are refused by name, every problem has
    a path such as ``$.groups[0].rules[1].expr``), and writes it back as JSON without ``null``: so a backend is given
    canonical groups, and the API's document describes them. Without it groups pass as they are.

    ``wire_name`` is how answers spell the type where the caller named none: the name, or one of the aliases.
    """

    name: str
    settings: type[S]
    open: Callable[[PluginContext, S], AbstractAsyncContextManager[RuleBackend]]
    aliases: tuple[str, ...] = ()
    wire_name: str | None = None
    group: type[Any] | None = None
    check: Callable[[Any], Awaitable[Health]] | None = None
