"""Alert rules on the wire (contract section 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from attrs import Factory, frozen
from msgspec import Meta

from candy_core.errors import Problem

NAMESPACE = "monitoring"
"""Where rules live that name no namespace."""

Name = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[^\x00-\x1f\x7f]*$")]
Namespace = Annotated[str, Meta(min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
MOST_RULES = 10_000
"""Rules of one sync, as many as a task may have items: to refuse a million of them one by one takes a gigabyte."""
Mark = Annotated[str, Meta(max_length=253, pattern=r"^[^\x00-\x1f\x7f]*$")]


def is_namespace(text: str) -> bool:
    """Whether a text is a label as RFC 1123 has it."""
    return _NAMESPACE.fullmatch(text) is not None


@frozen(kw_only=True)
class RuleDraft:
    """A rule as a caller writes it.

    content is an expression, a rule file as YAML or JSON text, or a rule file as an object. An expression becomes one
    alert named after the rule; for (5m), labels (severity warning) and annotations are the alert's. With a rule file
    they fill in what its alerts do not say themselves. resource_version is the one of the answer that a change is based
    on. What only answers have is taken and ignored, so that an answer can be sent back.
    """

    name: Name
    type: str
    content: Any
    namespace: Namespace = NAMESPACE
    config_map: Mark = ""
    key: Mark = ""
    for_: str = ""
    labels: Mapping[str, str] = Factory(dict)
    annotations: Mapping[str, str] = Factory(dict)
    resource_version: str = ""
    managed: bool | None = None
    object_name: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


@frozen(kw_only=True)
class RuleRequest(RuleDraft):
    """A rule to be made or changed. With dry_run everything is checked and nothing written."""

    dry_run: bool = False


@frozen(kw_only=True)
class RuleDeletion:
    """Which rule to delete. Without type it is looked for in every backend."""

    name: Name
    type: str | None = None
    namespace: Namespace = NAMESPACE
    resource_version: str = ""
    dry_run: bool = False


@frozen(kw_only=True)
class SyncRequest:
    """The rules that are to hold, each as for a POST; what one leaves out of type and namespace it has from here.

    With prune the managed rules that are not named here are deleted, in the namespaces that are. Without rules nothing
    is changed, and the answer tells which managed rules have drifted.
    """

    type: str | None = None
    namespace: Namespace | None = None
    rules: Annotated[tuple[Any, ...], Meta(max_length=MOST_RULES)] | None = None
    prune: bool = False
    dry_run: bool = False


@frozen(kw_only=True)
class RuleAnswer:
    """A rule as a backend holds it. content is the rule file in YAML.

    for, labels and annotations are those of the alert where the rule holds exactly one, and empty otherwise.
    """

    name: str
    type: str
    content: str
    namespace: str
    config_map: str
    key: str
    for_: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    resource_version: str
    managed: bool
    object_name: str
    created_at: datetime | None
    updated_at: datetime | None


@frozen(kw_only=True)
class BackendFault:
    """Why the rules of one type are not in a list. code as in a problem document."""

    type: str
    code: str
    detail: str


@frozen(kw_only=True)
class RuleList:
    """A page of rules; next_cursor is null on the last. errors tells of backends that could not be asked."""

    rules: tuple[RuleAnswer, ...]
    errors: tuple[BackendFault, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class SyncResult:
    """What became of one rule: created, updated, unchanged, deleted, failed, or drifted in a report of drift."""

    name: str
    result: str
    errors: tuple[Problem, ...] = ()


@frozen(kw_only=True)
class SyncSummary:
    """How many rules had which result."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0
    drifted: int = 0


@frozen(kw_only=True)
class SyncAnswer:
    """The rules in the order of the request, then what was pruned."""

    results: tuple[SyncResult, ...]
    summary: SyncSummary
