"""Rule backends keep the alert rules of one ``type`` (contract section 5).

The core reads ``content``, stores what it needs in annotations, calls :meth:`RuleBackend.validate` before it writes,
and does sync, drift and prune with the five methods. The backend is responsible for the names of objects, their
ownership and versions, and for the errors of its cluster. Every implementation must pass the suite
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
    """The object must not exist. Otherwise ``Exists``, whoever manages it and whatever its original name."""


@frozen
class Version:
    """The object must exist (else ``NotFound``) and have this version (else ``Stale``)."""

    version: str


@frozen
class Anything:
    """The object may be in any state: it is replaced, or created. A delete still needs an object."""


Expect: TypeAlias = Absent | Version | Anything


class RuleBackend(Protocol):
    """Keeps rules. Many tasks may call the methods at the same time. The backend itself limits the time of each call.

    Methods raise the errors that they name, and: ``Invalid`` for a rule that the server rejects (with paths as in
    :meth:`validate`), ``Forbidden`` if the agent's own identity lacks a right, and ``BackendUnavailable`` (or another
    ``Retriable``) if the server is unavailable: no cluster, no CRD, a timeout. After one of these the write may have
    happened nevertheless. A canceled call leaves nothing running.
    """

    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        """A page of the rules of a namespace, or of all if ``None``: each rule once, in a stable order.

        Rules that the agent does not manage are included. A page has at most ``limit`` rules (``limit`` is at least 1),
        and may have fewer, even none, before the last page. Raises ``Invalid`` for an invalid cursor.
        """
        ...

    async def get(self, ref: RuleRef) -> StoredRule:
        """Read a rule. Raises ``NotFound``, also if its object belongs to a rule of another name."""
        ...

    async def validate(self, rule: Rule) -> Sequence[Problem]:
        """Return every problem of the rule, with paths such as ``$.groups[0].rules[1].expr``. Writes nothing.

        A check that cannot be made now, for example because a server is unavailable, is not a problem of the rule.
        """
        ...

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> StoredRule:
        """Write the rule and return it as stored. Of racing calls with the same ``expect`` exactly one succeeds.

        With ``dry_run`` everything is checked, nothing is written, and the result is what would be stored. Raises, in
        this order of precedence, ``Exists`` or ``NotFound``, ``NotManaged``, ``Stale``, and ``FieldConflict``, which
        names the owner of the field.
        """
        ...

    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> StoredRule:
        """Delete the rule and return what it was. With ``Absent`` it finds nothing to delete.

        Raises, in this order of precedence, ``NotFound`` (as :meth:`get` does), ``NotManaged``, ``Stale``.
        """
        ...


@frozen(kw_only=True)
class RuleBackendSpec(Generic[S]):
    """Announces a rule backend. ``name`` is the rule ``type`` in requests, ``aliases`` are other spellings of it.

    ``group`` is an attrs class for *one* group of a rule file. With it the core reads each group as it reads item
    params (``"10"`` is 10 where the field is a number, unknown keys are rejected by name, every problem has a path such
    as ``$.groups[0].rules[1].expr``) and writes it back as JSON without ``null``. So the backend gets canonical groups,
    and the OpenAPI document describes them. Without it groups are passed on as they are.

    ``wire_name`` is the spelling of the type in responses if the request names no type: the name or one of the aliases.
    """

    name: str
    settings: type[S]
    open: Callable[[PluginContext, S], AbstractAsyncContextManager[RuleBackend]]
    aliases: tuple[str, ...] = ()
    wire_name: str | None = None
    group: type[Any] | None = None
    check: Callable[[Any], Awaitable[Health]] | None = None
