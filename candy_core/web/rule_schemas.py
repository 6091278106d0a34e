"""The schema of a rule's content in the OpenAPI document: the groups of the installed backends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from candy_core.rules.documents import RuleDraft, RuleRequest, SyncRequest
from candy_core.web.schemas import Schema, SchemaBuilder, plugin_schemas, reference


def describe_content(schemas: dict[str, Schema], groups: Mapping[str, type[Any] | None]) -> None:
    """Add the schema of ``content`` to the components. ``groups`` are the backends' group classes by rule type."""
    if RuleRequest.__name__ not in schemas:
        return
    builder = SchemaBuilder()
    builder.schema(RuleDraft)
    schemas |= builder.components
    references, components = plugin_schemas({name: kind for name, kind in groups.items() if kind is not None})
    schemas |= components
    file: Schema = {
        "type": "object",
        "description": "A rule file.",
        "required": ["groups"],
        "properties": {
            "groups": {"type": "array", "minItems": 1, "items": {"anyOf": [*references.values(), {"type": "object"}]}}
        },
        "additionalProperties": False,
    }
    text: Schema = {"type": "string", "description": "An expression, or a rule file as YAML or JSON text."}
    for record in (RuleRequest, RuleDraft):
        schemas[record.__name__]["properties"]["content"] = {"anyOf": [text, file]}
    draft = schemas[RuleDraft.__name__]
    draft["required"] = [name for name in draft["required"] if name != "type"]  # inherited from the request
    draft["additionalProperties"] = False
    installed = ", ".join(sorted(groups)) or "none"
    for name in (RuleRequest.__name__, RuleDraft.__name__):
        schemas[name]["properties"]["type"] = {"type": "string", "description": f"Installed types: {installed}."}
    schemas[SyncRequest.__name__]["properties"]["rules"] = {
        "anyOf": [{"type": "array", "items": {"anyOf": [reference(RuleDraft.__name__), {}]}}, {"type": "null"}],
        "description": "Each as for a POST. One that is not valid fails alone.",
        "default": None,
    }
