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
from candy_core.web.call import Call
from candy_core.web.operation import Answer, Operation, PageQuery, answer
from candy_core.web.requests import read_json
from candy_core.web.services import Services

PATH = "/api/alert-rules"
_WRITES = ("not_managed", "not_found", "stale", "field_conflict", "draining", "overloaded", "backend_unavailable")


@frozen(kw_only=True)
class WriteQuery:
    """dry_run=true: check everything, the API server's own dry run among it, and write nothing."""

    dry_run: Literal["true", "false"] | None = None


@frozen(kw_only=True)
class DeleteQuery(WriteQuery):
    """What the body may say, too."""

    name: str | None = None
    type: str | None = None
    namespace: str | None = None
    resource_version: str | None = None


@frozen(kw_only=True)
class ReadQuery:
    """Where the rule is; without type it is looked for in every backend."""

    type: str | None = None
    namespace: Namespace = DEFAULT_NAMESPACE


@frozen(kw_only=True)
class ListQuery(PageQuery):
    """Which rules, and how many of them in one answer; without namespace those of all."""

    type: str | None = None
    namespace: Namespace | None = None
    config_map: str | None = None
    key: str | None = None


class Rules:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._rules = services.rules

    async def create(self, call: Call) -> web.Response:
        """POST /api/alert-rules."""
        rule, written = await self._rules.create(await _body(call, WriteQuery))
        if not written:
            return answer(rule)
        where = urlencode({"type": rule.type, "namespace": rule.namespace})
        return answer(rule, status=201, headers={"Location": f"{PATH}/{quote(rule.name, safe='')}?{where}"})

    async def replace(self, call: Call) -> web.Response:
        """PUT /api/alert-rules."""
        return answer(await self._rules.replace(await _body(call, WriteQuery)))

    async def delete(self, call: Call) -> web.Response:
        """DELETE /api/alert-rules."""
        return answer(await self._rules.delete(await _body(call, DeleteQuery)))

    async def read(self, call: Call) -> web.Response:
        """GET /api/alert-rules/{name}."""
        query = call.query(ReadQuery)
        try:
            name = request_reader.read(call.path("name"), Name)
        except Invalid:
            raise NotFound("No rule can have this name.") from None
        return answer(await self._rules.read(RuleRef(name=name, namespace=query.namespace), query.type))

    async def list(self, call: Call) -> web.Response:
        """GET /api/alert-rules."""
        query = call.query(ListQuery)
        where = ListFilter(type_name=query.type, namespace=query.namespace, config_map=query.config_map, key=query.key)
        return answer(await self._rules.list(where, limit=query.limit, cursor=query.cursor))

    async def sync(self, call: Call) -> web.Response:
        """POST /api/alert-rules/sync."""
        return answer(await self._rules.sync(await _body(call, WriteQuery)))


async def _body(call: Call, kind: type[WriteQuery]) -> Json:
    """The body, with what the query says beside it; raises :class:`Invalid` where the two contradict each other."""
    body = await read_json(call) if kind is WriteQuery or call.request.body_exists else {}
    query = call.query(kind)
    if not isinstance(body, Mapping):
        return body
    whole = dict(body)
    problems: list[Problem] = []
    for key, value in attrs.asdict(query).items():
        if value is None:
            continue
        meant = value == "true" if key == "dry_run" else value
        if key in whole and whole[key] != meant:
            problems.append(Problem(f"query.{key}", "the body says otherwise"))
        whole[key] = meant
    if problems:
        raise Invalid(problems)
    return whole


def operations(services: Services) -> tuple[Operation, ...]:
    """The routes of alert rules."""
    rules = Rules(services)
    held = Answer("The rule as it is held.", RuleAnswer)
    return (
        Operation(
            method="POST",
            path=PATH,
            handler=rules.create,
            scope="rules:write",
            tag="alert rules",
            summary="Make an alert rule",
            description="type is one of the installed backends. Two names that lead to one object are a conflict.",
            query=WriteQuery,
            body=RuleRequest,
            answers={
                200: Answer("A dry run: the rule as it would be held.", RuleAnswer),
                201: Answer("The rule was made.", RuleAnswer, headers={"Location": "The rule's path."}),
            },
            codes=("exists", "field_conflict", "draining", "overloaded", "backend_unavailable"),
        ),
        Operation(
            method="PUT",
            path=PATH,
            handler=rules.replace,
            scope="rules:write",
            tag="alert rules",
            summary="Change an alert rule",
            description="All of it: what is left out has its default. With an old resource_version nothing is changed.",
            query=WriteQuery,
            body=RuleRequest,
            answers={200: held},
            codes=_WRITES,
        ),
        Operation(
            method="DELETE",
            path=PATH,
            handler=rules.delete,
            scope="rules:write",
            tag="alert rules",
            summary="Delete an alert rule",
            description="name, type and namespace stand in the body or in the query.",
            query=DeleteQuery,
            body=RuleDeletion,
            optional_body=True,
            answers={200: Answer("The rule that was deleted.", RuleAnswer)},
            codes=(*_WRITES, "conflict"),
        ),
        Operation(
            method="POST",
            path=f"{PATH}/sync",
            handler=rules.sync,
            scope="rules:write",
            tag="alert rules",
            summary="Make the backends hold these rules, or report what has drifted",
            description="A rule that is wrong fails alone. Without rules: what somebody else changed.",
            query=WriteQuery,
            body=SyncRequest,
            answers={200: Answer("What became of each rule.", SyncAnswer)},
            codes=("draining", "overloaded", "backend_unavailable"),
        ),
        Operation(
            method="GET",
            path=PATH,
            handler=rules.list,
            scope="rules:read",
            tag="alert rules",
            summary="List alert rules",
            description="Also those that the agent does not manage.",
            query=ListQuery,
            answers={200: Answer("A page; next_cursor is null on the last, errors tells what is missing.", RuleList)},
            codes=("overloaded", "backend_unavailable"),
        ),
        Operation(
            method="GET",
            path=f"{PATH}/{{name}}",
            handler=rules.read,
            scope="rules:read",
            tag="alert rules",
            summary="Read an alert rule",
            query=ReadQuery,
            path_parameters={"name": "The rule's name, percent-encoded."},
            answers={200: held},
            codes=("conflict", "overloaded", "backend_unavailable"),
        ),
    )
