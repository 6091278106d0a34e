"""GET /openapi.json: the API's document, made from the operations and the records that they name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, get_args

import attrs
import structlog
from aiohttp import web

from candy_core.codec import dumps
from candy_core.web.call import Call
from candy_core.web.operation import Answer, Operation, json_answer
from candy_core.web.problems import MEDIA_TYPE, STATUSES, ProblemDocument
from candy_core.web.rule_schemas import describe_content
from candy_core.web.schemas import Drawing, Schema, reference
from candy_core.web.services import Services

_log = structlog.get_logger("candy.web")
_JSON = "application/json"
_TASK_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._:-]+$"}
_TEXT: Schema = {"type": "string", "minLength": 1}
_PATH: Mapping[str, Schema] = {"task_id": _TASK_ID}
_WHEN: Mapping[str, str] = {
    "bad_json": "The body is not JSON, or did not arrive whole.",
    "unauthenticated": "There is no valid key.",
    "forbidden": "The key lacks the scope.",
    "not_found": "There is no such thing, or not any more.",
    "not_managed": "The agent does not manage the object, and leaves it alone.",
    "conflict": "A task of this id has another body; or several backends hold a rule of this name.",
    "exists": "The rule is there already, or another one whose name leads to the same object.",
    "stale": "The rule has changed since it was read.",
    "field_conflict": "Somebody else owns a field of the object, and is named.",
    "ended": "The task has ended.",
    "too_large": "The body is larger than CANDY_MAX_BODY.",
    "unsupported_media_type": "The body is not sent as application/json, or is compressed.",
    "invalid": "Something in the request is wrong; errors lists all of it.",
    "queue_full": "As many tasks wait as may wait.",
    "slow_down": "Too many requests without a valid key came from this address.",
    "draining": "The agent is shutting down.",
    "overloaded": "There is no room for this now.",
    "backend_unavailable": "A system that this needs cannot be had.",
}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def operation(services: Services, every: Callable[[], Sequence[Operation]]) -> Operation:
    """The route of the document; ``every`` gives all operations, this one among them."""

    @cache  # what is installed does not change while the agent runs
    def text() -> bytes:
        return dumps(document(every(), _params(services), _groups(services), version=services.version))

    async def read(call: Call) -> web.Response:
        return json_answer(text())

    return Operation(
        method="GET",
        path="/openapi.json",
        handler=read,
        scope="agent:read",
        tag="documentation",
        summary="This API as an OpenAPI document",
        query=None,
        answers={200: Answer("An OpenAPI 3.1 document.")},
    )


def document(
    operations: Sequence[Operation],
    params: Mapping[str, type[Any]],
    groups: Mapping[str, type[Any] | None],
    *,
    version: str,
) -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    ``params`` are the params classes of the installed executors by item type, ``groups`` the classes of a group of a
    rule file by rule type.
    """
    schemas = _schemas_of(operations)
    describe_content(schemas, groups)
    item = schemas.get("ItemRequest")
    if item is not None:
        known, found = _param_schemas(params)
        schemas.update(found)
        item["properties"]["params"] = {
            "type": "object",
            "description": "What the type needs. The contents are the item's own affair: wrong ones fail the item, not "
            "the task. Installed types: " + (", ".join(known) or "none") + ".",
            "anyOf": [*known.values(), {"type": "object", "description": "The params of any other type."}],
        }
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _describe(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Candy Agent",
            "version": version,
            "description": "Takes inspection tasks, runs their items through plugins, and reports back.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "jsonSchemaDialect": _DIALECT,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{"key": []}, {"bearer": []}],
    }


def _schemas_of(operations: Sequence[Operation]) -> dict[str, Schema]:
    drawing = Drawing()
    drawing.schema(ProblemDocument)
    for one in operations:
        for record in (*(record for answer in one.answers.values() for record in _records_of(answer)), one.body):
            if record is not None:
                drawing.schema(record)
    for one in operations:
        if one.partial_body and one.body is not None:
            changes = Drawing(lenient=True)
            changes.schema(one.body)
            drawn = changes.components.pop(one.body.__name__)
            drawing.components |= changes.components | {_changes_name(one.body): {**drawn, "required": []}}
    return drawing.components


def _changes_name(record: type[Any]) -> str:
    return f"{record.__name__}Changes"


def _param_schemas(params: Mapping[str, type[Any]]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    known: dict[str, Schema] = {}
    found: dict[str, Schema] = {}
    for name, record in sorted(params.items()):
        drawing = Drawing(prefix=f"{name}.", lenient=True)
        try:
            drawing.schema(record)
        except Exception:  # noqa: BLE001  # a plugin's class that cannot be drawn costs its own drawing
            _log.warning("params_schema_failed", type=name, exc_info=True)
            continue
        known[name] = reference(f"{name}.{record.__name__}")
        found.update(drawing.components)
    return known, found


def _params(services: Services) -> dict[str, type[Any]]:
    return {
        hosted.spec.name: hosted.spec.params
        for hosted in services.host.executors.values()
        if attrs.has(hosted.spec.params)
    }


def _groups(services: Services) -> dict[str, type[Any] | None]:
    specs = [hosted.spec for hosted in services.host.rule_backends.values()]
    return {spec.wire_name or spec.name: spec.group for spec in specs}


def _describe(one: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{one.method.lower()}{''.join(part.title() for part in _words(one.path))}",
        "tags": [one.tag],
        "summary": one.summary,
        "parameters": _parameters(one),
        "responses": {str(status): body for status, body in sorted(_responses(one).items())},
    }
    if one.description:
        described["description"] = one.description
    if one.scope is None:
        described["security"] = []
    else:
        described["x-candy-scope"] = one.scope
    if one.body is not None:
        name = _changes_name(one.body) if one.partial_body else one.body.__name__
        described["requestBody"] = {"required": not one.optional_body, "content": {_JSON: {"schema": reference(name)}}}
    return described


def _parameters(one: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, description in one.path_parameters.items():
        found.append(
            {"name": name, "in": "path", "required": True, "description": description, "schema": _PATH.get(name, _TEXT)}
        )
    if one.query is not None and attrs.fields(one.query):
        drawing = Drawing()
        drawing.schema(one.query)
        for name, drawn in drawing.components[one.query.__name__]["properties"].items():
            schema = _inlined(drawn, drawing.components)
            found.append({"name": name, "in": "query", "required": False, "schema": schema})
    for name, description in one.header_parameters.items():
        found.append(
            {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}
        )
    return found


def _inlined(schema: Schema, known: Mapping[str, Schema]) -> Schema:
    """A parameter's schema without references, and without ``null``, which a query string cannot say."""
    branches = [branch for branch in schema.get("anyOf", [schema]) if branch != {"type": "null"}]
    inner = [known[branch["$ref"].rpartition("/")[2]] if "$ref" in branch else branch for branch in branches]
    return dict(inner[0]) if len(inner) == 1 else {"anyOf": inner}


def _responses(one: Operation) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for status, answer in one.answers.items():
        found[status] = {"description": answer.description, "content": {answer.media: {"schema": _body(answer)}}}
        if answer.headers:
            found[status]["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
            }
    problem = {MEDIA_TYPE: {"schema": reference(ProblemDocument.__name__)}}
    for code in _codes(one):
        known = found.setdefault(STATUSES[code], {"description": "", "content": {}})
        known["description"] = f"{known['description']} {code}: {_WHEN[code]}".strip()
        known["content"].update(problem)
        if STATUSES[code] in (429, 503) and STATUSES[code] not in one.answers:
            known["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
        if code == "unauthenticated":
            known["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return found


def _body(answer: Answer) -> Schema:
    if answer.record is None:
        return {"type": "object"} if answer.media == _JSON else {"type": "string"}
    branches = [reference(record.__name__) for record in _records_of(answer)]
    return branches[0] if len(branches) == 1 else {"anyOf": branches}


def _records_of(answer: Answer) -> tuple[type[Any], ...]:
    if answer.record is None:
        return ()
    return get_args(answer.record) or (answer.record,)


def _codes(one: Operation) -> list[str]:
    """The refusals of an operation: those of its shape, and its own."""
    codes = []
    if one.scope is not None:
        codes += ["unauthenticated", "forbidden", "slow_down"]
    if one.body is not None:
        codes += ["bad_json", "too_large", "unsupported_media_type"]
    if one.query is not None:
        codes.append("invalid")
    if one.path_parameters:
        codes.append("not_found")
    return list(dict.fromkeys([*codes, *one.codes]))


def _words(path: str) -> list[str]:
    return [word for word in re.split(r"[./_{}-]", path) if word]
