"""Converts rules to objects of the cluster, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from candy_core import Json, Rule, RuleRef, StoredRule
from candy_kit_kube.json_values import as_list, as_object, as_text, as_time, text_members
from candy_kit_kube.object_name import object_name
from candy_kit_kube.rule_resource import RuleResource

FIELD_MANAGER: Final = "candy-agent"
"""The name under which the agent applies (contract section 5)."""
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""The label with the manager of an object (Kubernetes' recommended labels)."""
ANNOTATION_PREFIX: Final = "candy-agent.io/"
"""The prefix of the agent's own annotations."""
NAME: Final = f"{ANNOTATION_PREFIX}name"
"""The annotation that holds a rule's original name."""


def to_object(
    resource: RuleResource, rule: Rule, labels: Mapping[str, str], identity: Mapping[str, Json]
) -> Mapping[str, Json]:
    """The object to apply for this rule.

    ``identity`` is the resourceVersion, and the uid if known, that the stored object must have.
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
    """The rule in an object. Malformed fields are left out: any client may have written the object."""
    metadata = as_object(as_object(found).get("metadata"))
    name, managed = _name_and_managed(metadata)
    return StoredRule(
        rule=Rule(
            ref=RuleRef(name=name, namespace=as_text(metadata.get("namespace"))),
            groups=tuple(as_object(group) for group in groups_of(found)),
            annotations={
                key: value
                for key, value in text_members(metadata.get("annotations")).items()
                if key.startswith(ANNOTATION_PREFIX) and key != NAME
            },
        ),
        version=as_text(metadata.get("resourceVersion")),
        object_name=as_text(metadata.get("name")),
        managed=managed,
        created_at=as_time(metadata.get("creationTimestamp")),
        updated_at=_updated_at(metadata),
    )


def groups_of(found: Json) -> tuple[Json, ...]:
    """``spec.groups``."""
    return tuple(as_list(as_object(as_object(found).get("spec")).get("groups")))


def is_managed(found: Json) -> bool:
    """Whether the agent manages the object.

    An object whose annotation has a name that maps to another object is a copy, and is not managed: two objects would
    have one name.
    """
    return _name_and_managed(as_object(as_object(found).get("metadata")))[1]


def original_name(found: Json) -> str:
    """The rule's name for callers: from the annotation if the agent manages the object, else the object's name."""
    return _name_and_managed(as_object(as_object(found).get("metadata")))[0]


def _name_and_managed(metadata: Mapping[str, Json]) -> tuple[str, bool]:
    """The rule's name, and whether the agent manages its object."""
    name = as_text(metadata.get("name"))
    if as_object(metadata.get("labels")).get(MANAGED_BY) != FIELD_MANAGER:
        return name, False
    annotations = as_object(metadata.get("annotations"))
    if NAME not in annotations:
        return name, True
    original = as_text(annotations[NAME])
    return (original, True) if object_name(original) == name else (name, False)


def _updated_at(metadata: Mapping[str, Json]) -> datetime | None:
    """The time of the last write by any field manager."""
    written = (as_time(as_object(entry).get("time")) for entry in as_list(metadata.get("managedFields")))
    return max(filter(None, written), default=None) or as_time(metadata.get("creationTimestamp"))
