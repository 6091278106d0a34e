"""Alert rules (contract section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import Factory, frozen

from candy_core.model.task import Json


@frozen(kw_only=True)
class RuleRef:
    """The name under which callers know a rule, and the namespace in which it lives.

    ``name`` is 1–253 characters without control characters; what object it is kept in is the backend's affair.
    ``namespace`` is a label as RFC 1123 has it.
    """

    name: str
    namespace: str = "monitoring"


@frozen(kw_only=True)
class Rule:
    """A rule as it is to be.

    ``groups`` are the groups of a rule file as JSON values, with the keys that a rule file has (``alert``, ``expr``,
    ``for`` …) and without ``null``. ``annotations`` are the object's own, and not the alerts': what the core keeps
    there, all of it under ``candy-agent.io/``. A backend keeps them as they are and gives them back; labels of the
    object, and annotations under other names, are its own affair.
    """

    ref: RuleRef
    groups: tuple[Mapping[str, Json], ...]
    annotations: Mapping[str, str] = Factory(dict)


@frozen(kw_only=True)
class StoredRule:
    """A rule as a backend holds it.

    ``version`` is the backend's own, opaque, and changes with every write that changes something. ``object_name`` is
    the name of the object that it is kept in. ``managed`` tells whether the agent keeps it; what it does not manage it
    only reads, and there ``rule.ref.name`` is the object's name. Times are ``None`` where the backend has none.
    """

    rule: Rule
    version: str
    object_name: str
    managed: bool
    created_at: datetime | None = None
    updated_at: datetime | None = None


@frozen(kw_only=True)
class RulePage:
    """A page of a listing; ``next_cursor`` is ``None`` on the last."""

    rules: tuple[StoredRule, ...]
    next_cursor: str | None = None
