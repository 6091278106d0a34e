"""What a sync is asked to do: which rules, where, and what prune has to spare (contract section 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from attrs import define, field, frozen

from candy_core.errors import Invalid, Problem
from candy_core.model.rule import StoredRule
from candy_core.model.task import Json
from candy_core.rules.backends import Backend, Backends
from candy_core.rules.documents import NAMESPACE, RuleDraft, SyncRequest, is_namespace
from candy_core.rules.reading import Wanted, read_wanted

_TWICE = Problem("$.name", "another rule of this request has the same name, type and namespace")


@frozen
class Place:
    """One namespace of one backend: what is listed in one call."""

    backend: str
    namespace: str


@define(kw_only=True)
class Plan:
    """A request taken apart. ``wanted`` and ``bad`` go by the rule's place in the request, and hold each rule once."""

    names: list[str] = field(factory=list)
    wanted: dict[int, Wanted] = field(factory=dict)
    bad: dict[int, tuple[Problem, ...]] = field(factory=dict)
    backends: dict[str, Backend] = field(factory=dict)
    places: set[Place] = field(factory=set)
    """What has to be listed."""
    pruned: set[Place] = field(factory=set)
    """Where what is not named is deleted; a part of :attr:`places`."""
    _spared: list[tuple[str | None, str | None, str]] = field(factory=list)

    def spares(self, backend: str, stored: StoredRule) -> bool:
        """Whether an object belongs to a rule that was named: as it is to be, or too badly to be read."""
        ref = stored.rule.ref
        return any(
            name == ref.name and kind in (None, backend) and namespace in (None, ref.namespace)
            for kind, namespace, name in self._spared
        )

    def spare(self, backend: str | None, namespace: str | None, name: str) -> None:
        """Have prune leave what goes by that name; ``None`` where it cannot be told which it is."""
        self._spared.append((backend, namespace, name))


def place_of(wanted: Wanted) -> Place:
    """Where a rule is to be."""
    return Place(wanted.backend.name, wanted.rule.ref.namespace)


def likely_places(request: SyncRequest, rules: Sequence[Json], backends: Backends) -> dict[Place, Backend]:
    """Where the rules of a request are to be, at a glance: their lists can be read while the plan is made."""
    found: dict[Place, Backend] = {}
    kinds: dict[str, Backend | None] = {}
    usual = request.namespace or NAMESPACE
    for body in rules:
        if not isinstance(body, Mapping):
            continue
        kind, namespace = body.get("type", request.type), body.get("namespace", usual)
        if not isinstance(kind, str) or not isinstance(namespace, str):
            continue
        if kind not in kinds:
            kinds[kind] = backends.named(kind)
        backend = kinds[kind]
        if backend is not None and is_namespace(namespace):
            found.setdefault(Place(backend.name, namespace), backend)
    return found


def plan_of(request: SyncRequest, rules: Sequence[Json], backends: Backends) -> Plan:
    """The plan of a request. A rule that is wrong is one of :attr:`Plan.bad`, and costs only itself.

    Raises :class:`Invalid` for what concerns the whole request.
    """
    plan = Plan()
    usual = _usual_backend(request, backends)
    if request.prune and not rules and usual is None:
        raise Invalid([Problem("$.type", "is required where prune is asked for and no rule is named")])
    namespace = request.namespace or NAMESPACE
    nameless = False
    for index, body in enumerate(rules):
        whole = _inheriting(body, request.type, namespace)
        name = whole.get("name") if isinstance(whole, Mapping) else None
        plan.names.append(name if isinstance(name, str) else "")
        try:
            _, wanted = read_wanted(whole, RuleDraft, backends)
        except Invalid as error:
            plan.bad[index] = error.problems
            nameless = nameless or not isinstance(name, str)
            _spare_bad(plan, whole, backends)
        else:
            plan.wanted[index] = wanted
    _refuse_repeated(plan)
    if nameless and request.prune:
        told = Problem("$", "nothing was pruned: which object this rule is for cannot be told")
        plan.bad = {index: problems if plan.names[index] else (*problems, told) for index, problems in plan.bad.items()}
    for wanted in plan.wanted.values():
        plan.places.add(place_of(wanted))
        plan.backends.setdefault(wanted.backend.name, wanted.backend)
        plan.spare(wanted.backend.name, wanted.rule.ref.namespace, wanted.rule.ref.name)
    if request.prune and not nameless:
        if usual is not None:
            plan.places.add(Place(usual.name, namespace))
            plan.backends.setdefault(usual.name, usual)
        plan.pruned = set(plan.places)
    return plan


def _usual_backend(request: SyncRequest, backends: Backends) -> Backend | None:
    return backends.expect(request.type, "$.type") if request.type is not None else None


def _inheriting(body: Json, type_name: str | None, namespace: str) -> Json:
    if not isinstance(body, Mapping):
        return body
    inherited: dict[str, Json] = {"namespace": namespace}
    if type_name is not None:
        inherited["type"] = type_name
    return {**inherited, **body}


def _spare_bad(plan: Plan, body: Json, backends: Backends) -> None:
    if not isinstance(body, Mapping) or not isinstance(name := body.get("name"), str):
        return
    kind, namespace = body.get("type"), body.get("namespace")
    backend = backends.named(kind) if isinstance(kind, str) else None
    plan.spare(backend.name if backend is not None else None, namespace if isinstance(namespace, str) else None, name)


def _refuse_repeated(plan: Plan) -> None:
    """Which of two rules with one name is meant cannot be told, so it is neither."""
    counts = Counter((place_of(wanted), wanted.rule.ref.name) for wanted in plan.wanted.values())
    for index, wanted in list(plan.wanted.items()):
        if counts[place_of(wanted), wanted.rule.ref.name] > 1:
            del plan.wanted[index]
            plan.bad[index] = (_TWICE,)
            plan.spare(wanted.backend.name, wanted.rule.ref.namespace, wanted.rule.ref.name)


def to_be_pruned(plan: Plan, place: Place, found: Collection[StoredRule]) -> list[StoredRule]:
    """The managed objects of a place that the request does not name, by name."""
    if place not in plan.pruned:
        return []
    left = [stored for stored in found if stored.managed and not plan.spares(place.backend, stored)]
    return sorted(left, key=lambda stored: stored.rule.ref.name)
