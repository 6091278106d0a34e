"""Rules as objects of the cluster, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from candy_core import Json, Rule, RuleRef, StoredRule
from candy_kit_kube.json_values import elements, members, text, texts, time
from candy_kit_kube.object_name import object_name
from candy_kit_kube.rule_resource import RuleResource

FIELD_MANAGER: Final = "candy-agent"
"""The name under which the agent applies (contract section 5)."""
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""The label that says who keeps an object (Kubernetes' recommended labels)."""
ANNOTATIONS: Final = "candy-agent.io/"
"""How the annotations begin that are the agent's own."""
NAME: Final = f"{ANNOTATIONS}name"
"""The annotation that holds a rule's original name."""


def to_object(
    resource: RuleResource, rule: Rule, labels: Mapping[str, str], identity: Mapping[str, Json]
) -> Mapping[str, Json]:
    """What is applied to make the object be this rule.

    ``identity`` is the version, and the uid, that the object has to have.
    """
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": object_name(rule.ref.name),
            "namespace": rule.ref.namespace,
            "labels": {**labels, MANAGED_BY: FIELD_MANAGER},
            "annotations": {**rule.annotations, NAME: rule.ref.name},
            **identity,
        },
        "spec": {"groups": list(rule.groups)},
    }


def stored_rule(found: Json) -> StoredRule:
    """An object as a rule; whatever is not as it should be is left out, for anybody may have written it."""
    metadata = members(members(found).get("metadata"))
    name, managed = _kept(metadata)
    return StoredRule(
        rule=Rule(
            ref=RuleRef(name=name, namespace=text(metadata.get("namespace"))),
            groups=tuple(members(group) for group in groups_of(found)),
            annotations={
                key: value
                for key, value in texts(metadata.get("annotations")).items()
                if key.startswith(ANNOTATIONS) and key != NAME
            },
        ),
        version=text(metadata.get("resourceVersion")),
        object_name=text(metadata.get("name")),
        managed=managed,
        created_at=time(metadata.get("creationTimestamp")),
        updated_at=_updated(metadata),
    )


def groups_of(found: Json) -> tuple[Json, ...]:
    """``spec.groups``."""
    return tuple(elements(members(members(found).get("spec")).get("groups")))


def is_managed(found: Json) -> bool:
    """Whether the agent keeps the object.

    It does not keep one whose annotation leads to another object: somebody copied it, and two objects would go by one
    name.
    """
    return _kept(members(members(found).get("metadata")))[1]


def original_name(found: Json) -> str:
    """The name that callers know the rule by: the annotation's where the agent keeps the object, else the object's."""
    return _kept(members(members(found).get("metadata")))[0]


def _kept(metadata: Mapping[str, Json]) -> tuple[str, bool]:
    """The rule's name, and whether the agent keeps it."""
    name = text(metadata.get("name"))
    if members(metadata.get("labels")).get(MANAGED_BY) != FIELD_MANAGER:
        return name, False
    annotations = members(metadata.get("annotations"))
    if NAME not in annotations:
        return name, True
    original = text(annotations[NAME])
    return (original, True) if object_name(original) == name else (name, False)


def _updated(metadata: Mapping[str, Json]) -> datetime | None:
    """The newest time at which one of its managers wrote."""
    written = (time(members(entry).get("time")) for entry in elements(metadata.get("managedFields")))
    return max(filter(None, written), default=None) or time(metadata.get("creationTimestamp"))
