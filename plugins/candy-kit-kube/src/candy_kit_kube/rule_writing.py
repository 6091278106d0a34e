"""Writing a rule's object: by server-side apply, never forced, never without a version (contract section 5).

What is written is either exactly what was asked for, or nothing: before, by the API server's dry run and a comparison
with what it would store; after, by taking back what turned out otherwise all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from candy_core import CandyError, Exists, FieldConflict, Forbidden, Invalid, Json, Problem, Rule, Stale
from candy_kit_kube.field_paths import Foreign, KnownShapes, Missing, compare
from candy_kit_kube.json_values import members, text
from candy_kit_kube.object_name import object_name
from candy_kit_kube.ownership import owners
from candy_kit_kube.problem_paths import rule_problems
from candy_kit_kube.rule_objects import FIELD_MANAGER, groups_of, to_object
from candy_kit_kube.rule_requests import RuleRequests
from candy_kit_kube.rule_resource import RuleResource

NO_VERSION: Final = "1"
"""A version that no object has: etcd's first revision holds none. An apply with it can only create."""


class RuleWriter:
    """Creates, replaces and removes objects of one resource. Who may be touched is the caller's to decide."""

    def __init__(self, requests: RuleRequests, resource: RuleResource, labels: Mapping[str, str]) -> None:
        self._requests = requests
        self._resource = resource
        self._labels = labels
        self._known = KnownShapes()

    async def create(self, rule: Rule, *, dry_run: bool) -> Json:
        """Make an object where there is none, and give it; of racing calls one succeeds, the others raise ``Exists``.

        It is one request where the API server is known to keep every field that the rule has, else two.
        """
        identity: dict[str, Json] = {"resourceVersion": NO_VERSION}
        try:
            if dry_run or not self._known.cover(rule.groups):
                planned = await self._apply(rule, identity, dry_run=True)
                self._compare(rule, planned)
                self._known.learn(rule.groups)
                if dry_run:
                    return planned
            made = await self._apply(rule, identity, dry_run=False)
        except (Stale, FieldConflict) as error:
            raise Exists(str(error)) from None
        except Forbidden as error:
            raise self._named(error, rule) from None
        try:
            self._compare(rule, made)
        except CandyError:
            # The definition has changed since it was learned. Nothing may stay that is not as it was asked for.
            await self.remove(made, dry_run=False)
            raise
        return made

    async def replace(self, rule: Rule, found: Json, *, dry_run: bool) -> Json:
        """Make the object that was read be this rule, and give it.

        Raises ``Stale`` where it has changed since or is gone, ``FieldConflict`` where somebody else owns what would be
        changed, or has put something beside it that would stay.
        """
        metadata = members(members(found).get("metadata"))
        # With the uid an apply does not make anew what was deleted in between.
        identity = {"resourceVersion": metadata.get("resourceVersion"), "uid": metadata.get("uid")}
        planned = await self._apply(rule, identity, dry_run=True)
        self._compare(rule, planned)
        self._known.learn(rule.groups)
        if dry_run:
            return planned
        # What the dry run said holds: nobody has written in between, or the version does not fit any more.
        return await self._apply(rule, identity, dry_run=False)

    async def remove(self, found: Json, *, dry_run: bool) -> None:
        """Delete the object that was read.

        Raises ``Stale`` where it has changed since, ``NotFound`` where it is gone.
        """
        metadata = members(members(found).get("metadata"))
        path = self._resource.path(text(metadata.get("namespace")), text(metadata.get("name")))
        preconditions = {"uid": metadata.get("uid"), "resourceVersion": metadata.get("resourceVersion")}
        body: dict[str, Json] = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        if dry_run:
            body["dryRun"] = ["All"]  # here: where a delete has a body, the API server does not look at the query
        await self._requests.request("DELETE", path, body=body)

    async def _apply(self, rule: Rule, identity: Mapping[str, Json], *, dry_run: bool) -> Json:
        # Strict is for newer API servers, which then name unknown fields; older ones do not read it.
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
                raise Stale(f"{rule.ref.name} was deleted and made anew since it was read") from None
            raise Invalid(problems) from None

    def _named(self, error: Forbidden, rule: Rule) -> Forbidden:
        """The same error, and where the API server gives no reason the right that is missing.

        An apply is a patch, and to an API server that sees that it creates, a create as well: the first right is asked
        for with words, the second without.
        """
        if not str(error).rstrip().endswith("is forbidden:"):
            return error
        return Forbidden(
            f'{str(error).rstrip()} the agent cannot create resource "{self._resource.plural}" in API group '
            f'"{self._resource.group}" in the namespace "{rule.ref.namespace}"'
        )

    def _compare(self, rule: Rule, got: Json) -> None:
        """Raise where what the API server holds, or would hold, is not what was asked for."""
        differences = list(compare(rule.groups, groups_of(got)))
        if not differences:
            return
        if missing := [each.path for each in differences if isinstance(each, Missing)]:
            self._known.forget()
            why = f"is unknown to the cluster's CustomResourceDefinition {self._resource.definition}, and would be lost"
            raise Invalid([Problem(path, why) for path in missing])
        foreign = [
            f"{each.shown} belongs to {' and '.join(managers)}"
            for each in differences
            if isinstance(each, Foreign) and (managers := owners(got, each.steps, but=FIELD_MANAGER))
        ]
        if foreign:
            raise FieldConflict(f"{rule.ref.name}: {'; '.join(foreign)}, and would stay")
        # What is left nobody owns: the definition's own defaults.
