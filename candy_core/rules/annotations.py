"""The annotations that the core keeps in a rule's object, and what it reads from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from candy_core.codec import dumps
from candy_core.model.rule import Rule, RuleRef, StoredRule
from candy_core.model.task import Json
from candy_core.rules.content import Groups, content_of, the_alert
from candy_core.rules.documents import RuleAnswer, RuleDraft

PREFIX = "candy-agent.io/"
CONFIG_MAP = f"{PREFIX}config-map"
KEY = f"{PREFIX}key"
SPEC_HASH = f"{PREFIX}spec-hash"
_OWN = (CONFIG_MAP, KEY, SPEC_HASH)


def spec_hash(groups: Iterable[Mapping[str, Json]]) -> str:
    """A SHA-256 in hex that depends on neither the order of keys nor the order of groups.

    A CRD that keeps its groups by name, as VMRule does, may return them in another order than they were written in.
    """
    in_order = sorted(dumps(_plain(group), sort_keys=True) for group in groups)
    return hashlib.sha256(b"\n".join(in_order)).hexdigest()


def _plain(value: Json) -> Json:
    """The value as API servers keep it: without ``null``, and 1.0 as 1."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def rule_of(draft: RuleDraft, groups: Groups) -> Rule:
    """The rule to pass to a backend for a draft."""
    own = {CONFIG_MAP: draft.config_map, KEY: draft.key, SPEC_HASH: spec_hash(groups)}
    return Rule(
        ref=RuleRef(name=draft.name, namespace=draft.namespace),
        groups=groups,
        annotations={name: value for name, value in own.items() if value},
    )


def is_like(stored: StoredRule, rule: Rule) -> bool:
    """Whether an object already has what a rule asks for."""
    if own_annotations(stored.rule) != own_annotations(rule):
        return False
    return stored.rule.groups == rule.groups or spec_hash(stored.rule.groups) == spec_hash(rule.groups)


def own_annotations(rule: Rule) -> dict[str, str]:
    """The annotations that belong to the core."""
    return {name: rule.annotations[name] for name in _OWN if name in rule.annotations}


def has_drifted(stored: StoredRule) -> bool:
    """Whether a managed object's groups differ from the hash of the last write, or the hash is gone."""
    return stored.managed and stored.rule.annotations.get(SPEC_HASH) != spec_hash(stored.rule.groups)


def answer_of(stored: StoredRule, type_name: str, group: type[Any] | None) -> RuleAnswer:
    """A stored rule as the API returns it."""
    rule = stored.rule
    alert = the_alert(rule.groups) or {}
    wait = alert.get("for")
    return RuleAnswer(
        name=rule.ref.name,
        type=type_name,
        content=content_of(rule.groups, group),
        namespace=rule.ref.namespace,
        config_map=rule.annotations.get(CONFIG_MAP, ""),
        key=rule.annotations.get(KEY, ""),
        for_=wait if isinstance(wait, str) else "",
        labels=_texts(alert.get("labels")),
        annotations=_texts(alert.get("annotations")),
        resource_version=stored.version,
        managed=stored.managed,
        object_name=stored.object_name,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )


def _texts(value: Json) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {key: inner for key, inner in value.items() if isinstance(inner, str)}
