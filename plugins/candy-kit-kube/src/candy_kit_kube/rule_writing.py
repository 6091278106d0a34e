"""Writes a rule's object by server-side apply, never forced, and always with a version (contract section 5).

Either exactly the requested rule is stored, or nothing: the result of the API server's dry run is compared with the
rule before the write, and a new object that still turns out different is deleted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from candy_core import CandyError, Exists, FieldConflict, Forbidden, Invalid, Json, Problem, Rule, Stale
from candy_kit_kube.field_paths import KnownFields, Missing, Unrequested, compare
from candy_kit_kube.json_values import as_object, as_text
from candy_kit_kube.object_name import object_name
from candy_kit_kube.ownership import owners
from candy_kit_kube.problem_paths import rule_problems
from candy_kit_kube.rule_objects import FIELD_MANAGER, groups_of, to_object
from candy_kit_kube.rule_requests import RuleRequests
from candy_kit_kube.rule_resource import RuleResource

NO_VERSION: Final = "1"
"""A resourceVersion that no object has: etcd's first revision is empty. An apply with it can only create."""


class RuleWriter:
    """Creates, replaces and deletes objects of one resource. The caller decides which objects may be changed."""

    def __init__(self, requests: RuleRequests, resource: RuleResource, labels: Mapping[str, str]) -> None:
        self._requests = requests
        self._resource = resource
        self._labels = labels
        self._known = KnownFields()

    async def create(self, rule: Rule, *, dry_run: bool) -> Json:
        """Create an object and return it. Of concurrent calls one succeeds; the others raise ``Exists``.

        This takes one request if the API server is known to keep every field of the rule, else two.
        """
        identity: dict[str, Json] = {"resourceVersion": NO_VERSION}
        try:
            if dry_run or not self._known.contains(rule.groups):
                planned = await self._apply(rule, identity, dry_run=True)
                self._compare(rule, planned)
                self._known.learn(rule.groups)
                if dry_run:
                    return planned
            created = await self._apply(rule, identity, dry_run=False)
        except (Stale, FieldConflict) as error:
            raise Exists(str(error)) from None
        except Forbidden as error:
            raise self._with_reason(error, rule) from None
        try:
            self._compare(rule, created)
        except CandyError:
            # The definition has changed since its fields were learned. An object that differs must not stay.
            await self.remove(created, dry_run=False)
            raise
        return created

    async def replace(self, rule: Rule, found: Json, *, dry_run: bool) -> Json:
        """Replace the object ``found`` with this rule, and return it.

        Raises ``Stale`` if it has changed or was deleted, ``FieldConflict`` if another field manager owns what would
        change, or has added something that would stay.
        """
        metadata = as_object(as_object(found).get("metadata"))
        # With the uid, the apply does not recreate an object that was deleted in between.
        identity = {"resourceVersion": metadata.get("resourceVersion"), "uid": metadata.get("uid")}
        planned = await self._apply(rule, identity, dry_run=True)
        self._compare(rule, planned)
        self._known.learn(rule.groups)
        if dry_run:
            return planned
        # The result of the dry run is still valid: after a write in between the version would not match.
        return await self._apply(rule, identity, dry_run=False)

    async def remove(self, found: Json, *, dry_run: bool) -> None:
        """Delete the object ``found``. Raises ``Stale`` if it has changed, ``NotFound`` if it does not exist."""
        metadata = as_object(as_object(found).get("metadata"))
        path = self._resource.path(as_text(metadata.get("namespace")), as_text(metadata.get("name")))
        preconditions = {"uid": metadata.get("uid"), "resourceVersion": metadata.get("resourceVersion")}
        body: dict[str, Json] = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        if dry_run:
            body["dryRun"] = ["All"]  # for a DELETE with a body, the API server ignores the query
        await self._requests.request("DELETE", path, body=body)

    async def _apply(self, rule: Rule, identity: Mapping[str, Json], *, dry_run: bool) -> Json:
        # Strict makes newer API servers name unknown fields; older ones ignore it.
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        try:
            return await self._requests.request(
                "PATCH",
                self._resource.path(rule.ref.namespace, object_name(rule.ref.name)),
                query=query,
                body=to_object(self._resource, rule, self._labels, identity),
                content_type="application/apply-patch+yaml",
            )
        except Invalid as error:
            problems = rule_problems(error.problems, rule.groups)
            if all(problem.path == "$.metadata.uid" for problem in problems):
                raise Stale(f"{rule.ref.name} was deleted and created again since it was read") from None
            raise Invalid(problems) from None

    def _with_reason(self, error: Forbidden, rule: Rule) -> Forbidden:
        """The same error, with the missing permission added if the API server gives no reason.

        An apply needs the permission to patch, and one that creates an object also the permission to create. API
        servers name the first in their message, but not the second.
        """
        if not str(error).rstrip().endswith("is forbidden:"):
            return error
        return Forbidden(
            f'{str(error).rstrip()} the agent cannot create resource "{self._resource.plural}" in API group '
            f'"{self._resource.group}" in the namespace "{rule.ref.namespace}"'
        )

    def _compare(self, rule: Rule, stored: Json) -> None:
        """Raise if the object that the API server stores, or would store, differs from the rule."""
        differences = list(compare(rule.groups, groups_of(stored)))
        if missing := [each.path for each in differences if isinstance(each, Missing)]:
            self._known.forget()
            why = f"is not in the cluster's CustomResourceDefinition {self._resource.definition}, and would be lost"
            raise Invalid([Problem(path, why) for path in missing])
        owned = [
            f"{each.shown} belongs to {' and '.join(managers)}"
            for each in differences
            if isinstance(each, Unrequested) and (managers := owners(stored, each.steps, exclude=FIELD_MANAGER))
        ]
        if owned:
            raise FieldConflict(f"{rule.ref.name}: {'; '.join(owned)}, and would stay")
        # The other differences have no owner: they are the definition's defaults.
