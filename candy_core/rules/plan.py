"""The plan of a sync: which rules to write where, and what prune must not delete (contract section 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from attrs import define, field, frozen

from candy_core.errors import Invalid, Problem
from candy_core.model.rule import StoredRule
from candy_core.model.task import Json
from candy_core.rules.backends import Backend, Backends
from candy_core.rules.documents import DEFAULT_NAMESPACE, RuleDraft, SyncRequest, is_namespace
from candy_core.rules.reading import DesiredRule, read_desired

_DUPLICATE = Problem("$.name", "another rule of this request has the same name, type and namespace")


@frozen
class BackendNamespace:
    """One namespace of one backend, which one call lists."""

    backend: str
    namespace: str


@define(kw_only=True)
class Plan:
    """The content of a request. Each rule is in ``desired`` or in ``invalid``, by its index in the request."""

    names: list[str] = field(factory=list)
    desired: dict[int, DesiredRule] = field(factory=dict)
    invalid: dict[int, tuple[Problem, ...]] = field(factory=dict)
    backends: dict[str, Backend] = field(factory=dict)
    targets: set[BackendNamespace] = field(factory=set)
    """What has to be listed."""
    pruned: set[BackendNamespace] = field(factory=set)
    """The :attr:`targets` where rules that the request does not name are deleted."""
    _protected: list[tuple[str | None, str | None, str]] = field(factory=list)

    def protects(self, backend: str, stored: StoredRule) -> bool:
        """Whether the request names the rule of an object, if only in a rule that is invalid."""
        ref = stored.rule.ref
        return any(
            name == ref.name and kind in (None, backend) and namespace in (None, ref.namespace)
            for kind, namespace, name in self._protected
        )

    def protect(self, backend: str | None, namespace: str | None, name: str) -> None:
        """Keep prune from deleting the rule of this name. ``None`` stands for every backend or namespace."""
        self._protected.append((backend, namespace, name))


def target_of(desired: DesiredRule) -> BackendNamespace:
    """Where to write a rule."""
    return BackendNamespace(desired.backend.name, desired.rule.ref.namespace)


def likely_targets(request: SyncRequest, rules: Sequence[Json], backends: Backends) -> dict[BackendNamespace, Backend]:
    """A quick guess at the targets of a request, so that they can be listed while the plan is made."""
    found: dict[BackendNamespace, Backend] = {}
    kinds: dict[str, Backend | None] = {}
    default = request.namespace or DEFAULT_NAMESPACE
    for body in rules:
        if not isinstance(body, Mapping):
            continue
        kind, namespace = body.get("type", request.type), body.get("namespace", default)
        if not isinstance(kind, str) or not isinstance(namespace, str):
            continue
        if kind not in kinds:
            kinds[kind] = backends.named(kind)
        backend = kinds[kind]
        if backend is not None and is_namespace(namespace):
            found.setdefault(BackendNamespace(backend.name, namespace), backend)
    return found


def plan_of(request: SyncRequest, rules: Sequence[Json], backends: Backends) -> Plan:
    """The plan of a request. An invalid rule is in :attr:`Plan.invalid` and does not affect the others.

    Raises :class:`Invalid` for problems of the request as a whole.
    """
    plan = Plan()
    default = _default_backend(request, backends)
    if request.prune and not rules and default is None:
        raise Invalid([Problem("$.type", "is required with prune if no rule is named")])
    namespace = request.namespace or DEFAULT_NAMESPACE
    nameless = False
    for index, body in enumerate(rules):
        whole = _with_defaults(body, request.type, namespace)
        name = whole.get("name") if isinstance(whole, Mapping) else None
        plan.names.append(name if isinstance(name, str) else "")
        try:
            _, desired = read_desired(whole, RuleDraft, backends)
        except Invalid as error:
            plan.invalid[index] = error.problems
            nameless = nameless or not isinstance(name, str)
            _protect_invalid(plan, whole, backends)
        else:
            plan.desired[index] = desired
    _reject_duplicates(plan)
    if nameless and request.prune:
        unknown = Problem("$", "nothing was pruned: this rule has no name, so its object is unknown")
        plan.invalid = {
            index: problems if plan.names[index] else (*problems, unknown) for index, problems in plan.invalid.items()
        }
    for desired in plan.desired.values():
        plan.targets.add(target_of(desired))
        plan.backends.setdefault(desired.backend.name, desired.backend)
        plan.protect(desired.backend.name, desired.rule.ref.namespace, desired.rule.ref.name)
    if request.prune and not nameless:
        if default is not None:
            plan.targets.add(BackendNamespace(default.name, namespace))
            plan.backends.setdefault(default.name, default)
        plan.pruned = set(plan.targets)
    return plan


def _default_backend(request: SyncRequest, backends: Backends) -> Backend | None:
    return backends.require(request.type, "$.type") if request.type is not None else None


def _with_defaults(body: Json, type_name: str | None, namespace: str) -> Json:
    if not isinstance(body, Mapping):
        return body
    defaults: dict[str, Json] = {"namespace": namespace}
    if type_name is not None:
        defaults["type"] = type_name
    return {**defaults, **body}


def _protect_invalid(plan: Plan, body: Json, backends: Backends) -> None:
    if not isinstance(body, Mapping) or not isinstance(name := body.get("name"), str):
        return
    kind, namespace = body.get("type"), body.get("namespace")
    backend = backends.named(kind) if isinstance(kind, str) else None
    plan.protect(backend.name if backend is not None else None, namespace if isinstance(namespace, str) else None, name)


def _reject_duplicates(plan: Plan) -> None:
    """Of two rules with the same name neither is written: either may be the one that was meant."""
    counts = Counter((target_of(desired), desired.rule.ref.name) for desired in plan.desired.values())
    for index, desired in list(plan.desired.items()):
        if counts[target_of(desired), desired.rule.ref.name] > 1:
            del plan.desired[index]
            plan.invalid[index] = (_DUPLICATE,)
            plan.protect(desired.backend.name, desired.rule.ref.namespace, desired.rule.ref.name)


def to_be_pruned(plan: Plan, target: BackendNamespace, found: Collection[StoredRule]) -> list[StoredRule]:
    """The managed objects of a target that the request does not name, sorted by name."""
    if target not in plan.pruned:
        return []
    left = [stored for stored in found if stored.managed and not plan.protects(target.backend, stored)]
    return sorted(left, key=lambda stored: stored.rule.ref.name)
