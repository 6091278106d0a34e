"""Alert rules (contract section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote, urlencode

import attrs
from aiohttp import web
from attrs import frozen

from candy_core.codec import request_reader
from candy_core.errors import Invalid, NotFound, Problem
from candy_core.model.rule import RuleRef
from candy_core.model.task import Json
from candy_core.rules import ListFilter
from candy_core.rules.documents import (
    DEFAULT_NAMESPACE,
    Name,
    Namespace,
    RuleAnswer,
    RuleDeletion,
    RuleList,
    RuleRequest,
    SyncAnswer,
    SyncRequest,
)
from candy_core.web.operation import Operation, PageQuery, ResponseSpec, json_response
from candy_core.web.request_context import RequestContext
from candy_core.web.requests import read_json
from candy_core.web.services import Services

PATH = "/api/alert-rules"
_WRITES = ("not_managed", "not_found", "stale", "field_conflict", "draining", "overloaded", "backend_unavailable")


@frozen(kw_only=True)
class WriteQuery:
    """dry_run=true: check everything, including a dry run of the API server, and write nothing."""

    dry_run: Literal["true", "false"] | None = None


@frozen(kw_only=True)
class DeleteQuery(WriteQuery):
    """The same keys as in the body."""

    name: str | None = None
    type: str | None = None
    namespace: str | None = None
    resource_version: str | None = None


@frozen(kw_only=True)
class ReadQuery:
    """Where the rule is; without type every backend is searched."""

    type: str | None = None
    namespace: Namespace = DEFAULT_NAMESPACE


@frozen(kw_only=True)
class ListQuery(PageQuery):
    """A filter, and paging. Without namespace, rules of every namespace."""

    type: str | None = None
    namespace: Namespace | None = None
    config_map: str | None = None
    key: str | None = None


class RuleHandlers:
    """The handlers of :func:`operations`."""

    def __init__(self, services: Services) -> None:
        self._rules = services.rules

    async def create(self, context: RequestContext) -> web.Response:
        """POST /api/alert-rules."""
        rule, written = await self._rules.create(await _body(context, WriteQuery))
        if not written:
            return json_response(rule)
        where = urlencode({"type": rule.type, "namespace": rule.namespace})
        return json_response(rule, status=201, headers={"Location": f"{PATH}/{quote(rule.name, safe='')}?{where}"})

    async def replace(self, context: RequestContext) -> web.Response:
        """PUT /api/alert-rules."""
        return json_response(await self._rules.replace(await _body(context, WriteQuery)))

    async def delete(self, context: RequestContext) -> web.Response:
        """DELETE /api/alert-rules."""
        return json_response(await self._rules.delete(await _body(context, DeleteQuery)))

    async def read(self, context: RequestContext) -> web.Response:
        """GET /api/alert-rules/{name}."""
        query = context.query(ReadQuery)
        try:
            name = request_reader.read(context.path("name"), Name)
        except Invalid:
            raise NotFound("This is not a valid rule name.") from None
        return json_response(await self._rules.read(RuleRef(name=name, namespace=query.namespace), query.type))

    async def list(self, context: RequestContext) -> web.Response:
        """GET /api/alert-rules."""
        query = context.query(ListQuery)
        where = ListFilter(type_name=query.type, namespace=query.namespace, config_map=query.config_map, key=query.key)
        return json_response(await self._rules.list(where, limit=query.limit, cursor=query.cursor))

    async def sync(self, context: RequestContext) -> web.Response:
        """POST /api/alert-rules/sync."""
        return json_response(await self._rules.sync(await _body(context, WriteQuery)))


async def _body(context: RequestContext, kind: type[WriteQuery]) -> Json:
    """The body merged with the query. Raises :class:`Invalid` where the two contradict each other."""
    body = await read_json(context) if kind is WriteQuery or context.request.body_exists else {}
    query = context.query(kind)
    if not isinstance(body, Mapping):
        return body
    merged = dict(body)
    problems: list[Problem] = []
    for key, value in attrs.asdict(query).items():
        if value is None:
            continue
        expected = value == "true" if key == "dry_run" else value
        if key in merged and merged[key] != expected:
            problems.append(Problem(f"query.{key}", "the body has another value"))
        merged[key] = expected
    if problems:
        raise Invalid(problems)
    return merged


def operations(services: Services) -> tuple[Operation, ...]:
    """Alert rule operations."""
    handlers = RuleHandlers(services)
    stored = ResponseSpec("The rule as it is stored.", RuleAnswer)
    return (
        Operation(
            method="POST",
            path=PATH,
            handler=handlers.create,
            scope="rules:write",
            tag="alert rules",
            summary="Create an alert rule",
            description="type is one of the installed backends. Two names that map to one object are a conflict.",
            query=WriteQuery,
            body=RuleRequest,
            responses={
                200: ResponseSpec("A dry run: the rule as it would be stored.", RuleAnswer),
                201: ResponseSpec("The rule was created.", RuleAnswer, headers={"Location": "The rule's path."}),
            },
            codes=("exists", "field_conflict", "draining", "overloaded", "backend_unavailable"),
        ),
        Operation(
            method="PUT",
            path=PATH,
            handler=handlers.replace,
            scope="rules:write",
            tag="alert rules",
            summary="Replace an alert rule",
            description="A missing key has its default. With an old resource_version nothing is changed.",
            query=WriteQuery,
            body=RuleRequest,
            responses={200: stored},
            codes=_WRITES,
        ),
        Operation(
            method="DELETE",
            path=PATH,
            handler=handlers.delete,
            scope="rules:write",
            tag="alert rules",
            summary="Delete an alert rule",
            description="name, type and namespace are in the body or in the query.",
            query=DeleteQuery,
            body=RuleDeletion,
            optional_body=True,
            responses={200: ResponseSpec("The rule that was deleted.", RuleAnswer)},
            codes=(*_WRITES, "conflict"),
        ),
        Operation(
            method="POST",
            path=f"{PATH}/sync",
            handler=handlers.sync,
            scope="rules:write",
            tag="alert rules",
            summary="Sync alert rules, or report drift",
            description="A rule that is not valid fails alone. Without rules: the rules that were changed by others.",
            query=WriteQuery,
            body=SyncRequest,
            responses={200: ResponseSpec("The result of each rule.", SyncAnswer)},
            codes=("draining", "overloaded", "backend_unavailable"),
        ),
        Operation(
            method="GET",
            path=PATH,
            handler=handlers.list,
            scope="rules:read",
            tag="alert rules",
            summary="List alert rules",
            description="Including rules that the agent does not manage.",
            query=ListQuery,
            responses={
                200: ResponseSpec("A page. next_cursor is null on the last one; errors has what is missing.", RuleList)
            },
            codes=("overloaded", "backend_unavailable"),
        ),
        Operation(
            method="GET",
            path=f"{PATH}/{{name}}",
            handler=handlers.read,
            scope="rules:read",
            tag="alert rules",
            summary="Read an alert rule",
            query=ReadQuery,
            path_parameters={"name": "The rule's name, percent-encoded."},
            responses={200: stored},
            codes=("conflict", "overloaded", "backend_unavailable"),
        ),
    )
