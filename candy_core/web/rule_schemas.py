"""What the API's document says of a rule's content: the groups of the installed backends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from candy_core.rules.documents import RuleDraft, RuleRequest, SyncRequest
from candy_core.web.schemas import Drawing, Schema, reference

_log = structlog.get_logger("candy.web")


def describe_content(schemas: dict[str, Schema], groups: Mapping[str, type[Any] | None]) -> None:
    """Put into the document's components what a rule may hold. ``groups`` are the backends' classes by rule type."""
    if RuleRequest.__name__ not in schemas:
        return
    drawing = Drawing()
    drawing.schema(RuleDraft)
    schemas |= drawing.components
    known: list[Schema] = []
    for name, record in sorted(groups.items()):
        if record is None:
            continue
        own = Drawing(prefix=f"{name}.", lenient=True)
        try:
            own.schema(record)
        except Exception:  # noqa: BLE001  # a plugin's class that cannot be drawn costs its own drawing
            _log.warning("group_schema_failed", type=name, exc_info=True)
            continue
        known.append(reference(f"{name}.{record.__name__}"))
        schemas |= own.components
    file: Schema = {
        "type": "object",
        "description": "A rule file.",
        "required": ["groups"],
        "properties": {"groups": {"type": "array", "minItems": 1, "items": {"anyOf": [*known, {"type": "object"}]}}},
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
        "description": "Each as for a POST; one that is wrong fails alone.",
        "default": None,
    }
