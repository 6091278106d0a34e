"""JSON Schemas of attrs classes, as the codec reads and writes them.

They are not made by msgspec, whose schemas do not support secrets, classes that are read from text (``parse``), times,
or strings in place of other values. Bounds are msgspec's ``Meta``, as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import attrs
import structlog
from msgspec import Meta

from candy_core.codec import to_json
from candy_core.codec.kinds import is_annotated, is_literal, is_mapping, is_row, is_sequence, is_union, key_of
from candy_core.model.heartbeat import Heartbeat
from candy_core.model.secret import Secret
from candy_core.model.task import Callback, ItemRequest, ItemResult, LogEntry, TaskRequest
from candy_core.rules.documents import RuleDeletion, RuleRequest, SyncRequest

Schema = dict[str, Any]  # a JSON Schema is free-form by nature

_log = structlog.get_logger("candy.web")

_ITEM_ID: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
        {"type": "string", "minLength": 1, "maxLength": 128},
    ]
}
_REFINED: Mapping[tuple[type[Any], str], Schema] = {
    (ItemRequest, "id"): _ITEM_ID,
    (ItemResult, "item_id"): _ITEM_ID,
    (LogEntry, "item_id"): {"anyOf": [*_ITEM_ID["anyOf"], {"type": "null"}]},
}
"""Fields that only the engine checks."""
_CLOSED = (TaskRequest, ItemRequest, Callback, RuleRequest, RuleDeletion, SyncRequest)
"""Records in requests: unknown keys are an error (contract section 1)."""
_SPARSE = (Heartbeat,)
"""Records that are written without unknown values."""
_PLAIN: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    Path: {"type": "string"},
    Secret: {"type": "string", "description": "A secret; masked in every response."},
}
_FACTORY: Any = attrs.Factory  # a class; attrs' stubs declare a function
_ROLE = re.compile(r":[a-z]+:`~?(?:[\w.]*\.)?(\w+)`")
_BOUNDS: Mapping[str, str] = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
}


def reference(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


class SchemaBuilder:
    """Builds the schemas of types, and collects the components that they refer to.

    ``prefix`` starts the components' names. With ``lenient`` every value may also be a string, as in item params
    (contract section 1). ``closed`` are the records in which an unknown key is an error: with ``lenient``, all.
    """

    def __init__(self, *, prefix: str = "", lenient: bool = False, closed: Iterable[type[Any]] = _CLOSED) -> None:
        self.components: dict[str, Schema] = {}
        self._prefix = prefix
        self._lenient = lenient
        self._closed = frozenset(closed)
        self._names: dict[Any, str] = {}

    def schema(self, kind: Any) -> Schema:
        """The schema of a type. That of an unknown type allows everything."""
        if kind in _PLAIN:
            return self._or_string(dict(_PLAIN[kind]))
        if is_annotated(kind):
            inner, *metadata = get_args(kind)
            return self._bound(inner, [meta for meta in metadata if isinstance(meta, Meta)])
        if is_union(kind):
            return self._union(get_args(kind))
        if is_literal(kind):
            return self._or_string({"enum": list(get_args(kind))})
        if is_row(kind):
            elements = [self.schema(inner) for inner in get_args(kind)]
            return self._or_string(
                {"type": "array", "prefixItems": elements, "minItems": len(elements), "items": False}
            )
        if is_sequence(kind):
            return self._or_string({"type": "array", "items": self.schema((get_args(kind) or (Any,))[0])})
        if is_mapping(kind):
            inner = (get_args(kind) or (str, Any))[1]
            return self._or_string({"type": "object", "additionalProperties": self.schema(inner)})
        if isinstance(kind, type):
            return self._class(kind)
        return {}

    def _class(self, kind: type[Any]) -> Schema:
        if issubclass(kind, Enum):
            return self._component(kind, {"enum": [member.value for member in kind], "description": summary(kind)})
        if hasattr(kind, "parse"):
            return {"type": ["string", "number"], "description": summary(kind)}
        if not attrs.has(kind):
            return {}
        if kind in self._names:
            return self._or_string(reference(self._names[kind]))
        schema: Schema = {"type": "object", "description": summary(kind)}
        result = self._component(kind, schema)  # before its fields, which may refer to it
        hints = get_type_hints(kind, include_extras=True)
        fields = [field for field in attrs.fields(kind) if field.init]
        properties = {key_of(field): self._field(kind, field, hints[field.name]) for field in fields}
        schema["properties"] = properties
        schema["required"] = [
            key_of(field)
            for field in fields
            if field.default is attrs.NOTHING and not (kind in _SPARSE and _optional(hints[field.name]))
        ]
        if self._lenient or kind in self._closed:
            schema["additionalProperties"] = False
        return self._or_string(result)

    def _field(self, record: type[Any], field: attrs.Attribute[Any], hint: Any) -> Schema:
        schema = dict(_REFINED.get((record, field.name)) or self.schema(hint))
        default: Any = field.default  # attrs types a factory as what it makes
        if isinstance(default, _FACTORY) and not default.takes_self:
            default = default.factory()
        if default is not attrs.NOTHING and not isinstance(default, Secret | _FACTORY) and "$ref" not in schema:
            schema["default"] = to_json(default)
        return schema

    def _component(self, kind: type[Any], schema: Schema) -> Schema:
        if kind not in self._names:
            name = self._prefix + kind.__name__
            if name in self.components:  # another class of the same name
                name = f"{self._prefix}{kind.__module__}.{kind.__qualname__}"
            self._names[kind] = name
            self.components[name] = schema
        return reference(self._names[kind])

    def _bound(self, kind: Any, bounds: Iterable[Meta]) -> Schema:
        schema = _StrictBuilder(self).schema(kind) if self._lenient else self.schema(kind)
        size = {"string": "Length", "array": "Items", "object": "Properties"}.get(str(schema.get("type")), "Length")
        for meta in bounds:
            for name, keyword in _BOUNDS.items():
                if getattr(meta, name) is not None:
                    schema[keyword] = getattr(meta, name)
            for name in ("min", "max"):
                if getattr(meta, f"{name}_length") is not None:
                    schema[f"{name}{size}"] = getattr(meta, f"{name}_length")
        return self._or_string(schema)

    def _union(self, kinds: Iterable[Any]) -> Schema:
        branches: list[Schema] = []
        for kind in kinds:
            for branch in (schema := self.schema(kind)).get("anyOf", [schema]):
                if branch not in branches:
                    branches.append(branch)
        return {"anyOf": branches} if len(branches) > 1 else branches[0]

    def _or_string(self, schema: Schema) -> Schema:
        """The schema, or with ``lenient`` a string instead."""
        if not self._lenient or schema.get("type") in ("string", "null"):
            return schema
        return {"anyOf": [schema, {"type": "string"}]}


class _StrictBuilder(SchemaBuilder):
    """The same builder without ``lenient``, for values that have bounds."""

    def __init__(self, outer: SchemaBuilder) -> None:
        super().__init__(prefix=outer._prefix, closed=outer._closed)
        self.components = outer.components
        self._names = outer._names


def plugin_schemas(kinds: Mapping[str, type[Any]]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """References to the plugins' classes by name, and the components that they refer to."""
    references: dict[str, Schema] = {}
    components: dict[str, Schema] = {}
    for name, kind in sorted(kinds.items()):
        builder = SchemaBuilder(prefix=f"{name}.", lenient=True)
        try:
            builder.schema(kind)
        except Exception:  # noqa: BLE001  # one plugin's class must not break the document
            _log.warning("plugin_schema_failed", type=name, exc_info=True)
            continue
        references[name] = reference(f"{name}.{kind.__name__}")
        components.update(builder.components)
    return references, components


def summary(kind: type[Any]) -> str:
    """The first paragraph of a class's docstring, as plain text."""
    text = (kind.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(_ROLE.sub(r"\1", text).replace("``", "").split())


def _optional(hint: Any) -> bool:
    return type(None) in get_args(hint)
