"""Alert rules (contract section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import Factory, frozen

from candy_core.model.task import Json


@frozen(kw_only=True)
class RuleRef:
    """The name and the namespace of a rule.

    ``name`` has 1–253 characters without control characters; the backend chooses the name of the object. ``namespace``
    is a label as defined by RFC 1123.
    """

    name: str
    namespace: str = "monitoring"


@frozen(kw_only=True)
class Rule:
    """A rule to write.

    ``groups`` are the groups of a rule file as JSON values, with the keys of a rule file (``alert``, ``expr``, ``for``
    …) and without ``null``. ``annotations`` are those that the core keeps in the rule's object (not those of alerts);
    their names start with ``candy-agent.io/``. A backend stores and returns them unchanged. It may use labels of the
    object, and annotations with other names, as it likes.
    """

    ref: RuleRef
    groups: tuple[Mapping[str, Json], ...]
    annotations: Mapping[str, str] = Factory(dict)


@frozen(kw_only=True)
class StoredRule:
    """A rule as a backend holds it.

    ``version`` is opaque and changes with every write that changes something. ``object_name`` is the name of the rule's
    object. ``managed`` is whether the agent manages it. The agent only reads other objects, whose ``rule.ref.name`` is
    the object's name. Times are ``None`` if the backend has none.
    """

    rule: Rule
    version: str
    object_name: str
    managed: bool
    created_at: datetime | None = None
    updated_at: datetime | None = None


@frozen(kw_only=True)
class RulePage:
    """A page of a list. ``next_cursor`` is ``None`` on the last page."""

    rules: tuple[StoredRule, ...]
    next_cursor: str | None = None
