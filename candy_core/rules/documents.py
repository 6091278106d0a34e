"""Requests and responses of the API for alert rules (contract section 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from attrs import Factory, frozen
from msgspec import Meta

from candy_core.errors import Problem

DEFAULT_NAMESPACE = "monitoring"
"""The namespace of rules that name none."""

Name = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[^\x00-\x1f\x7f]*$")]
Namespace = Annotated[str, Meta(min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
MAX_RULES = 10_000
"""Rules of one sync, as many as the items of a task: to reject a million of them one by one takes a gigabyte."""
AnnotationValue = Annotated[str, Meta(max_length=253, pattern=r"^[^\x00-\x1f\x7f]*$")]


def is_namespace(text: str) -> bool:
    """Whether a text is a label as defined by RFC 1123."""
    return _NAMESPACE.fullmatch(text) is not None


@frozen(kw_only=True)
class RuleDraft:
    """A rule as a caller writes it.

    content is an expression, a rule file as YAML or JSON text, or a rule file as an object. An expression becomes one
    alert named after the rule, with for (default 5m), labels (default severity: warning) and annotations. In a rule
    file, alerts that lack one of these get it from here. resource_version is that of the response that a change is
    based on. Fields that only responses have are accepted and ignored, so that a response can be sent back.
    """

    name: Name
    type: str
    content: Any
    namespace: Namespace = DEFAULT_NAMESPACE
    config_map: AnnotationValue = ""
    key: AnnotationValue = ""
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
    """A rule to create or change. With dry_run everything is checked and nothing is written."""

    dry_run: bool = False


@frozen(kw_only=True)
class RuleDeletion:
    """The rule to delete. Without type it is searched for in every backend."""

    name: Name
    type: str | None = None
    namespace: Namespace = DEFAULT_NAMESPACE
    resource_version: str = ""
    dry_run: bool = False


@frozen(kw_only=True)
class SyncRequest:
    """The rules that the backends must hold, each as in a POST. type and namespace are the defaults for all of them.

    With prune, managed rules that are not named here are deleted in the namespaces that are named. Without rules
    nothing is changed, and the response lists the managed rules that have drifted.
    """

    type: str | None = None
    namespace: Namespace | None = None
    rules: Annotated[tuple[Any, ...], Meta(max_length=MAX_RULES)] | None = None
    prune: bool = False
    dry_run: bool = False


@frozen(kw_only=True)
class RuleAnswer:
    """A rule as a backend holds it. content is the rule file in YAML.

    for, labels and annotations are those of the alert if the rule has exactly one, and empty otherwise.
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
    """Why a list lacks the rules of one type. code is as in a problem document."""

    type: str
    code: str
    detail: str


@frozen(kw_only=True)
class RuleList:
    """A page of rules. next_cursor is null on the last page. errors lists the backends that failed."""

    rules: tuple[RuleAnswer, ...]
    errors: tuple[BackendFault, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class SyncResult:
    """The result of one rule: created, updated, unchanged, deleted, failed, or drifted in a drift report."""

    name: str
    result: str
    errors: tuple[Problem, ...] = ()


@frozen(kw_only=True)
class SyncSummary:
    """The number of rules by result."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0
    drifted: int = 0


@frozen(kw_only=True)
class SyncAnswer:
    """The results in the order of the request, then those of pruned rules."""

    results: tuple[SyncResult, ...]
    summary: SyncSummary
