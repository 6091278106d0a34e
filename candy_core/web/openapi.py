"""GET /openapi.json: the OpenAPI document, made from the operations and their records."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, get_args

import attrs
from aiohttp import web

from candy_core.codec import dumps
from candy_core.web.operation import Operation, ResponseSpec, raw_json_response
from candy_core.web.problems import MEDIA_TYPE, PROBLEM_TYPES, ProblemDocument
from candy_core.web.request_context import RequestContext
from candy_core.web.rule_schemas import describe_content
from candy_core.web.schemas import Schema, SchemaBuilder, plugin_schemas, reference
from candy_core.web.services import Services

_JSON = "application/json"
_TASK_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._:-]+$"}
_NON_EMPTY: Schema = {"type": "string", "minLength": 1}
_PATH_PARAMETERS: Mapping[str, Schema] = {"task_id": _TASK_ID}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def operation(services: Services, every: Callable[[], Sequence[Operation]]) -> Operation:
    """The operation of the document. ``every`` returns all operations, including this one."""

    @cache  # the installed plugins do not change while the agent runs
    def text() -> bytes:
        return dumps(document(every(), _params(services), _groups(services), version=services.version))

    async def read(context: RequestContext) -> web.Response:
        return raw_json_response(text())

    return Operation(
        method="GET",
        path="/openapi.json",
        handler=read,
        scope="agent:read",
        tag="documentation",
        summary="This API as an OpenAPI document",
        query=None,
        responses={200: ResponseSpec("An OpenAPI 3.1 document.")},
    )


def document(
    operations: Sequence[Operation],
    params: Mapping[str, type[Any]],
    groups: Mapping[str, type[Any] | None],
    *,
    version: str,
) -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    ``params`` are the executors' params classes by item type, ``groups`` the rule backends' group classes by rule type.
    """
    schemas = _schemas_of(operations)
    describe_content(schemas, groups)
    item = schemas.get("ItemRequest")
    if item is not None:
        references, components = plugin_schemas(params)
        schemas.update(components)
        item["properties"]["params"] = {
            "type": "object",
            "description": "The parameters of the type. Wrong ones fail the item, not the task. Installed types: "
            + (", ".join(references) or "none")
            + ".",
            "anyOf": [*references.values(), {"type": "object", "description": "The params of any other type."}],
        }
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _describe(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Candy Agent",
            "version": version,
            "description": "Runs inspection tasks through plugins and reports the results.",
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
    builder = SchemaBuilder()
    builder.schema(ProblemDocument)
    for one in operations:
        for record in (*(record for spec in one.responses.values() for record in _records_of(spec)), one.body):
            if record is not None:
                builder.schema(record)
    for one in operations:
        if one.partial_body and one.body is not None:
            changes = SchemaBuilder(lenient=True)
            changes.schema(one.body)
            schema = changes.components.pop(one.body.__name__)
            builder.components |= changes.components | {_changes_name(one.body): {**schema, "required": []}}
    return builder.components


def _changes_name(record: type[Any]) -> str:
    return f"{record.__name__}Changes"


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
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": description,
                "schema": _PATH_PARAMETERS.get(name, _NON_EMPTY),
            }
        )
    if one.query is not None and attrs.fields(one.query):
        builder = SchemaBuilder()
        builder.schema(one.query)
        for name, declared in builder.components[one.query.__name__]["properties"].items():
            schema = _inlined(declared, builder.components)
            found.append({"name": name, "in": "query", "required": False, "schema": schema})
    for name, description in one.header_parameters.items():
        found.append(
            {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}
        )
    return found


def _inlined(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """A parameter's schema without references, and without ``null``, which a query string cannot express."""
    branches = [branch for branch in schema.get("anyOf", [schema]) if branch != {"type": "null"}]
    inner = [components[branch["$ref"].rpartition("/")[2]] if "$ref" in branch else branch for branch in branches]
    return dict(inner[0]) if len(inner) == 1 else {"anyOf": inner}


def _responses(one: Operation) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for status, spec in one.responses.items():
        found[status] = {"description": spec.description, "content": {spec.media: {"schema": _body(spec)}}}
        if spec.headers:
            found[status]["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in spec.headers.items()
            }
    problem = {MEDIA_TYPE: {"schema": reference(ProblemDocument.__name__)}}
    for code in _codes(one):
        kind = PROBLEM_TYPES[code]
        response = found.setdefault(kind.status, {"description": "", "content": {}})
        response["description"] = f"{response['description']} {code}: {kind.when}".strip()
        response["content"].update(problem)
        if kind.status in (429, 503) and kind.status not in one.responses:
            response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
        if code == "unauthenticated":
            response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return found


def _body(spec: ResponseSpec) -> Schema:
    if spec.record is None:
        return {"type": "object"} if spec.media == _JSON else {"type": "string"}
    branches = [reference(record.__name__) for record in _records_of(spec)]
    return branches[0] if len(branches) == 1 else {"anyOf": branches}


def _records_of(spec: ResponseSpec) -> tuple[type[Any], ...]:
    if spec.record is None:
        return ()
    return get_args(spec.record) or (spec.record,)


def _codes(one: Operation) -> list[str]:
    """The problem codes of an operation: those that follow from its other fields, and its own."""
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
