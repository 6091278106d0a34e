"""Rules kept in a custom resource: the port ``RuleBackend`` over any CRD that holds ``spec.groups``."""

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
from candy_kit_kube.json_values import elements, members
from candy_kit_kube.object_name import is_namespace, object_name
from candy_kit_kube.paging import next_token
from candy_kit_kube.rule_objects import is_managed, original_name, stored_rule
from candy_kit_kube.rule_requests import RuleRequests
from candy_kit_kube.rule_resource import RuleResource
from candy_kit_kube.rule_writing import RuleWriter

Validate: TypeAlias = Callable[[Rule], Awaitable[Sequence[Problem]]]

ATTEMPTS: Final = 5
"""How often a write that takes whatever is there starts anew when somebody else writes in between."""
_NO_LABELS: Final[Mapping[str, str]] = {}


class CustomRuleBackend:
    """Keeps rules in objects of ``resource``, as contract section 5 has it.

    ``validate`` finds what is wrong with a rule of this type before the cluster is asked. ``labels`` are put on every
    object, beside the one that says that the agent keeps it: an operator's ``ruleSelector`` may want them.
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
        """A page in the order of namespaces and objects' names; the cursor is the API server's continue token."""
        if namespace is not None:
            _check_namespace(namespace)
        found = await self._requests.page(namespace, limit, cursor)
        rules = tuple(stored_rule(item) for item in elements(members(found).get("items")))
        return RulePage(rules=rules, next_cursor=next_token(found))

    async def get(self, ref: RuleRef) -> StoredRule:
        """The rule of that name, whoever keeps it."""
        found = await self._read(ref)
        if found is None or original_name(found) != ref.name:
            raise self._absent(ref)
        return stored_rule(found)

    async def validate(self, rule: Rule) -> Sequence[Problem]:
        """What the ``validate`` that this backend was given finds."""
        return await self._validate(rule)

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> StoredRule:
        """Make the object be this. Every write carries a version, and is not made where the server would alter it."""
        _check_namespace(rule.ref.namespace)
        if isinstance(expect, Absent):
            return await self._create(rule, dry_run=dry_run)
        for _ in range(ATTEMPTS):
            found = await self._read(rule.ref)
            try:
                if found is None:
                    if isinstance(expect, Version):
                        raise self._absent(rule.ref)
                    return await self._create(rule, dry_run=dry_run)
                self._may_write(rule.ref, found, expect, taken=NotFound if isinstance(expect, Version) else Exists)
                return stored_rule(await self._writer.replace(rule, found, dry_run=dry_run))
            except (Stale, Exists) as error:
                # Somebody was quicker: what there is now is read again, and told if it is not for us to change.
                if isinstance(expect, Version) or (isinstance(error, Exists) and found is not None):
                    raise
        raise self._restless(rule.ref)

    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> StoredRule:
        """Remove the object, with its uid and version as preconditions, and give what it was."""
        for _ in range(ATTEMPTS):
            found = None if isinstance(expect, Absent) else await self._read(ref)
            if found is None:
                raise self._absent(ref)
            self._may_write(ref, found, expect, taken=NotFound)
            try:
                await self._writer.remove(found, dry_run=dry_run)
            except Stale:
                if isinstance(expect, Version):
                    raise
            else:
                return stored_rule(found)
        raise self._restless(ref)

    async def check(self) -> Health:
        """Whether the cluster answers and serves the resource. Never raises."""
        try:
            served = await self._cluster.request("GET", f"/apis/{self._resource.api_version}")
        except MissingResource:
            served = None
        except CandyError as error:
            return Health(ok=False, detail=str(error))
        names = {members(each).get("name") for each in elements(members(served).get("resources"))}
        if self._resource.plural not in names:
            return Health(ok=False, detail=f"install the CustomResourceDefinition {self._resource.definition}")
        return Health(ok=True)

    async def _create(self, rule: Rule, *, dry_run: bool) -> StoredRule:
        try:
            made = stored_rule(await self._writer.create(rule, dry_run=dry_run))
        except Exists:
            raise await self._taken(rule.ref) from None
        # The version that a dry run tells is the one that was sent.
        return evolve(made, version="", created_at=None, updated_at=None) if dry_run else made

    async def _taken(self, ref: RuleRef) -> Exists:
        """Who has the object's name. Found out afterwards, so that a create costs no question."""
        found = await self._read(ref)
        where = f"{self._resource.kind} {ref.namespace}/{object_name(ref.name)}"
        if found is None:
            return Exists(f"{where} was there a moment ago")
        if not is_managed(found):
            return Exists(f"{where} exists, and the agent does not manage it")
        if (other := original_name(found)) != ref.name:
            return Exists(f"{where} holds the rule {other}, whose name leads to the same object: choose another name")
        return Exists(f"{where} exists already")

    def _may_write(self, ref: RuleRef, found: Json, expect: Expect, *, taken: type[CandyError]) -> None:
        """Raise where the object is another rule's (``taken``), not the agent's, or not of the version expected."""
        where = f"{self._resource.kind} {ref.namespace}/{object_name(ref.name)}"
        if not is_managed(found):
            raise NotManaged(
                f"{where} is not managed by the agent (label app.kubernetes.io/managed-by), and stays as it is"
            )
        if (other := original_name(found)) != ref.name:
            raise taken(f"{where} holds the rule {other}, not {ref.name}")
        if isinstance(expect, Version):
            now = members(members(found).get("metadata")).get("resourceVersion")
            if now != expect.version:
                raise Stale(f"{where} is of version {now}, not {expect.version}: read it again")

    async def _read(self, ref: RuleRef) -> Json:
        """The object as it is, ``None`` where there is none."""
        _check_namespace(ref.namespace)
        try:
            return await self._requests.request("GET", self._resource.path(ref.namespace, object_name(ref.name)))
        except NotFound:
            return None

    def _absent(self, ref: RuleRef) -> NotFound:
        return NotFound(f"there is no {self._resource.kind} for the rule {ref.name} in the namespace {ref.namespace}")

    def _restless(self, ref: RuleRef) -> Stale:
        return Stale(
            f"{self._resource.kind} {ref.namespace}/{object_name(ref.name)} is changed all the time: try again"
        )


def _check_namespace(namespace: str) -> None:
    if not is_namespace(namespace):
        raise Invalid([Problem("$.namespace", "expected the name of a namespace: an RFC 1123 label")])
