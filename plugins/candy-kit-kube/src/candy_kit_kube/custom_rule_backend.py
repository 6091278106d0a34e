"""A ``RuleBackend`` over any custom resource whose objects hold rule groups in ``spec.groups``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import evolve

from candy_core import (
    Absent,
    CandyError,
    Exists,
    Expect,
    Health,
    Invalid,
    Json,
    NotFound,
    NotManaged,
    Problem,
    Rule,
    RulePage,
    RuleRef,
    Stale,
    StoredRule,
    Version,
)
from candy_kit_kube.api_errors import MissingResource
from candy_kit_kube.cluster import Cluster
from candy_kit_kube.json_values import as_list, as_object
from candy_kit_kube.object_name import is_namespace, object_name
from candy_kit_kube.paging import next_token
from candy_kit_kube.rule_objects import is_managed, original_name, stored_rule
from candy_kit_kube.rule_requests import RuleRequests
from candy_kit_kube.rule_resource import RuleResource
from candy_kit_kube.rule_writing import RuleWriter

Validate: TypeAlias = Callable[[Rule], Awaitable[Sequence[Problem]]]

ATTEMPTS: Final = 5
"""How often a write without an expected version is attempted if other clients keep writing."""
_NO_LABELS: Final[Mapping[str, str]] = {}


class CustomRuleBackend:
    """Stores rules in objects of ``resource`` (contract section 5).

    ``validate`` returns the problems of a rule of this type, before a request is sent. ``labels`` are set on every
    object, in addition to the one that marks it as managed by the agent: an operator's ``ruleSelector`` may need them.
    """

    def __init__(
        self, cluster: Cluster, resource: RuleResource, *, validate: Validate, labels: Mapping[str, str] = _NO_LABELS
    ) -> None:
        self._cluster = cluster
        self._resource = resource
        self._validate = validate
        self._requests = RuleRequests(cluster, resource)
        self._writer = RuleWriter(self._requests, resource, labels)

    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        """A page, ordered by namespace and object name; the cursor is the API server's continue token."""
        if namespace is not None:
            _check_namespace(namespace)
        found = await self._requests.page(namespace, limit, cursor)
        rules = tuple(stored_rule(item) for item in as_list(as_object(found).get("items")))
        return RulePage(rules=rules, next_cursor=next_token(found))

    async def get(self, ref: RuleRef) -> StoredRule:
        """The rule of that name, whether the agent manages it or not."""
        found = await self._read(ref)
        if found is None or original_name(found) != ref.name:
            raise self._not_found(ref)
        return stored_rule(found)

    async def validate(self, rule: Rule) -> Sequence[Problem]:
        """The problems that the ``validate`` of this backend returns."""
        return await self._validate(rule)

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> StoredRule:
        """Create or replace the object. Every write has a version, and fails if the server would store another rule."""
        _check_namespace(rule.ref.namespace)
        if isinstance(expect, Absent):
            return await self._create(rule, dry_run=dry_run)
        for _ in range(ATTEMPTS):
            found = await self._read(rule.ref)
            try:
                if found is None:
                    if isinstance(expect, Version):
                        raise self._not_found(rule.ref)
                    return await self._create(rule, dry_run=dry_run)
                missing = NotFound if isinstance(expect, Version) else Exists
                self._check_writable(rule.ref, found, expect, other_rule=missing)
                return stored_rule(await self._writer.replace(rule, found, dry_run=dry_run))
            except (Stale, Exists) as error:
                # Another client has written meanwhile: re-read, and check again whether the agent may write.
                if isinstance(expect, Version) or (isinstance(error, Exists) and found is not None):
                    raise
        raise self._contended(rule.ref)

    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> StoredRule:
        """Delete the object, with its uid and version as preconditions, and return the deleted rule."""
        for _ in range(ATTEMPTS):
            found = None if isinstance(expect, Absent) else await self._read(ref)
            if found is None:
                raise self._not_found(ref)
            self._check_writable(ref, found, expect, other_rule=NotFound)
            try:
                await self._writer.remove(found, dry_run=dry_run)
            except Stale:
                if isinstance(expect, Version):
                    raise
            else:
                return stored_rule(found)
        raise self._contended(ref)

    async def check(self) -> Health:
        """Whether the cluster can be reached and serves the resource. Never raises."""
        try:
            served = await self._cluster.request("GET", f"/apis/{self._resource.api_version}")
        except MissingResource:
            served = None
        except CandyError as error:
            return Health(ok=False, detail=str(error))
        names = {as_object(each).get("name") for each in as_list(as_object(served).get("resources"))}
        if self._resource.plural not in names:
            return Health(ok=False, detail=f"install the CustomResourceDefinition {self._resource.definition}")
        return Health(ok=True)

    async def _create(self, rule: Rule, *, dry_run: bool) -> StoredRule:
        try:
            created = stored_rule(await self._writer.create(rule, dry_run=dry_run))
        except Exists:
            raise await self._name_taken(rule.ref) from None
        # The version in the result of a dry run is the one that was sent.
        return evolve(created, version="", created_at=None, updated_at=None) if dry_run else created

    async def _name_taken(self, ref: RuleRef) -> Exists:
        """The error that says which object has the name. It is read only now, so that a create needs no extra read."""
        found = await self._read(ref)
        where = f"{self._resource.kind} {ref.namespace}/{object_name(ref.name)}"
        if found is None:
            return Exists(f"{where} existed a moment ago")
        if not is_managed(found):
            return Exists(f"{where} exists, and the agent does not manage it")
        if (other := original_name(found)) != ref.name:
            return Exists(f"{where} holds the rule {other}, whose name maps to the same object: choose another name")
        return Exists(f"{where} already exists")

    def _check_writable(self, ref: RuleRef, found: Json, expect: Expect, *, other_rule: type[CandyError]) -> None:
        """Raise if the object holds another rule (``other_rule``), is not managed, or has another version."""
        where = f"{self._resource.kind} {ref.namespace}/{object_name(ref.name)}"
        if not is_managed(found):
            raise NotManaged(
                f"{where} is not managed by the agent (label app.kubernetes.io/managed-by), and is not changed"
            )
        if (other := original_name(found)) != ref.name:
            raise other_rule(f"{where} holds the rule {other}, not {ref.name}")
        if isinstance(expect, Version):
            current = as_object(as_object(found).get("metadata")).get("resourceVersion")
            if current != expect.version:
                raise Stale(f"{where} has version {current}, not {expect.version}: read it again")

    async def _read(self, ref: RuleRef) -> Json:
        """The object, ``None`` if it does not exist."""
        _check_namespace(ref.namespace)
        try:
            return await self._requests.request("GET", self._resource.path(ref.namespace, object_name(ref.name)))
        except NotFound:
            return None

    def _not_found(self, ref: RuleRef) -> NotFound:
        return NotFound(f"there is no {self._resource.kind} for the rule {ref.name} in the namespace {ref.namespace}")

    def _contended(self, ref: RuleRef) -> Stale:
        return Stale(f"{self._resource.kind} {ref.namespace}/{object_name(ref.name)} keeps changing: try again")


def _check_namespace(namespace: str) -> None:
    if not is_namespace(namespace):
        raise Invalid([Problem("$.namespace", "expected the name of a namespace: an RFC 1123 label")])
