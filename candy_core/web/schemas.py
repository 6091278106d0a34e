"""JSON Schemas of the attrs records, as the codec reads and writes them.

They are drawn here and not by msgspec, whose schemas know nothing of secrets, of classes that are read from a text
(``parse``), of times, nor of strings that may stand for other values; its ``Meta`` bounds are where they always are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import attrs
from msgspec import Meta

from candy_core.codec import to_json
from candy_core.codec.kinds import is_annotated, is_literal, is_mapping, is_row, is_sequence, is_union, key_of
from candy_core.model.heartbeat import Heartbeat
from candy_core.model.secret import Secret
from candy_core.model.task import Callback, ItemRequest, ItemResult, LogEntry, TaskRequest
from candy_core.rules.documents import RuleDeletion, RuleRequest, SyncRequest

Schema = dict[str, Any]  # a JSON Schema is free-form by nature

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
"""What the records leave to the engine's checks."""
_CLOSED = (TaskRequest, ItemRequest, Callback, RuleRequest, RuleDeletion, SyncRequest)
"""What callers write: unknown keys are an error there (contract section 1)."""
_SPARSE = (Heartbeat,)
"""Written without the keys whose value is not known."""
_PLAIN: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    Path: {"type": "string"},
    Secret: {"type": "string", "description": "A secret; masked in every answer."},
}
_FACTORY: Any = attrs.Factory  # a class, which attrs' stubs have as a function
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


class Drawing:
    """Draws types, and collects the components that their schemas refer to.

    ``prefix`` leads the components' names. With ``lenient`` a string may stand for every other value, as item params
    have it (contract section 1). ``closed`` are records in which an unknown key is an error; a lenient drawing's all
    are.
    """

    def __init__(self, *, prefix: str = "", lenient: bool = False, closed: Iterable[type[Any]] = _CLOSED) -> None:
        self.components: dict[str, Schema] = {}
        self._prefix = prefix
        self._lenient = lenient
        self._closed = frozenset(closed)
        self._names: dict[Any, str] = {}

    def schema(self, kind: Any) -> Schema:
        """The schema of a type; one that nobody knows allows everything."""
        if kind in _PLAIN:
            return self._loosen(dict(_PLAIN[kind]))
        if is_annotated(kind):
            inner, *metadata = get_args(kind)
            return self._bound(inner, [meta for meta in metadata if isinstance(meta, Meta)])
        if is_union(kind):
            return self._union(get_args(kind))
        if is_literal(kind):
            return self._loosen({"enum": list(get_args(kind))})
        if is_row(kind):
            places = [self.schema(inner) for inner in get_args(kind)]
            return self._loosen({"type": "array", "prefixItems": places, "minItems": len(places), "items": False})
        if is_sequence(kind):
            return self._loosen({"type": "array", "items": self.schema((get_args(kind) or (Any,))[0])})
        if is_mapping(kind):
            inner = (get_args(kind) or (str, Any))[1]
            return self._loosen({"type": "object", "additionalProperties": self.schema(inner)})
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
            return self._loosen(reference(self._names[kind]))
        drawn: Schema = {"type": "object", "description": summary(kind)}
        made = self._component(kind, drawn)  # before its fields, which may refer to it
        hints = get_type_hints(kind, include_extras=True)
        fields = [field for field in attrs.fields(kind) if field.init]
        properties = {key_of(field): self._field(kind, field, hints[field.name]) for field in fields}
        drawn["properties"] = properties
        drawn["required"] = [
            key_of(field)
            for field in fields
            if field.default is attrs.NOTHING and not (kind in _SPARSE and _optional(hints[field.name]))
        ]
        if self._lenient or kind in self._closed:
            drawn["additionalProperties"] = False
        return self._loosen(made)

    def _field(self, record: type[Any], field: attrs.Attribute[Any], hint: Any) -> Schema:
        drawn = dict(_REFINED.get((record, field.name)) or self.schema(hint))
        default: Any = field.default  # attrs types a factory as what it makes
        if isinstance(default, _FACTORY) and not default.takes_self:
            default = default.factory()
        if default is not attrs.NOTHING and not isinstance(default, Secret | _FACTORY) and "$ref" not in drawn:
            drawn["default"] = to_json(default)
        return drawn

    def _component(self, kind: type[Any], drawn: Schema) -> Schema:
        if kind not in self._names:
            name = self._prefix + kind.__name__
            if name in self.components:  # another class of the same name
                name = f"{self._prefix}{kind.__module__}.{kind.__qualname__}"
            self._names[kind] = name
            self.components[name] = drawn
        return reference(self._names[kind])

    def _bound(self, kind: Any, bounds: Iterable[Meta]) -> Schema:
        drawn = _Strict(self).schema(kind) if self._lenient else self.schema(kind)
        size = {"string": "Length", "array": "Items", "object": "Properties"}.get(str(drawn.get("type")), "Length")
        for meta in bounds:
            for name, keyword in _BOUNDS.items():
                if getattr(meta, name) is not None:
                    drawn[keyword] = getattr(meta, name)
            for name in ("min", "max"):
                if getattr(meta, f"{name}_length") is not None:
                    drawn[f"{name}{size}"] = getattr(meta, f"{name}_length")
        return self._loosen(drawn)

    def _union(self, kinds: Iterable[Any]) -> Schema:
        branches: list[Schema] = []
        for kind in kinds:
            for branch in (drawn := self.schema(kind)).get("anyOf", [drawn]):
                if branch not in branches:
                    branches.append(branch)
        return {"anyOf": branches} if len(branches) > 1 else branches[0]

    def _loosen(self, drawn: Schema) -> Schema:
        """The schema, or a string that stands for it."""
        if not self._lenient or drawn.get("type") in ("string", "null"):
            return drawn
        return {"anyOf": [drawn, {"type": "string"}]}


class _Strict(Drawing):
    """The same drawing without strings in the place of other values, for what bounds are put on."""

    def __init__(self, outer: Drawing) -> None:
        super().__init__(prefix=outer._prefix, closed=outer._closed)
        self.components = outer.components
        self._names = outer._names


def summary(kind: type[Any]) -> str:
    """The first paragraph of a class's docstring, as plain text."""
    text = (kind.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(_ROLE.sub(r"\1", text).replace("``", "").split())


def _optional(hint: Any) -> bool:
    return type(None) in get_args(hint)
