"""Operations: a route, its handler, and all that the API's document says about it, in one record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, cast

from aiohttp import web
from attrs import field, frozen
from msgspec import Meta

from candy_core.codec import encode, params_reader
from candy_core.codec.problems import join
from candy_core.errors import Invalid, Problem
from candy_core.keys import Caller
from candy_core.model.task import Json

if TYPE_CHECKING:
    from candy_core.web.requests import RequestLimits

Q = TypeVar("Q")


@frozen
class Call:
    """One request on its way through a handler. ``caller`` is ``None`` where the route needs no key and none came."""

    request: web.Request
    caller: Caller | None
    limits: RequestLimits
    request_id: str

    @property
    def scopes(self) -> frozenset[str]:
        """What the caller may do."""
        return self.caller.scopes if self.caller is not None else frozenset()

    def path(self, name: str) -> str:
        """A part of the path, decoded. It is what the caller wrote: check it before use."""
        return self.request.match_info[name]

    def query(self, kind: type[Q]) -> Q:
        """The query string as a record; raises :class:`Invalid` for unknown, repeated and wrong parameters."""
        if not self.request.query_string:
            return cast("Q", _without_query(cast("Hashable", kind)))
        values: dict[str, Json] = {}
        problems: list[Problem] = []
        for name, value in self.request.query.items():
            if name in values:
                problems.append(Problem(join("query", name), "stands twice"))
            values[name] = value
        try:
            query = params_reader.read(values, kind, path="query")
        except Invalid as error:
            problems += error.problems
        if problems:
            raise Invalid(problems)
        return query


@cache
def _without_query(kind: Hashable) -> object:
    """The record of a query string in which nothing stands."""
    return params_reader.read({}, cast("type[object]", kind), path="query")


Handler: TypeAlias = Callable[[Call], Awaitable[web.Response]]


@frozen
class Answer:
    """A documented answer.

    ``record`` is the attrs class of its body, or a union of some; ``media`` tells the type where it is not JSON.
    """

    description: str
    record: Any = None
    media: str = "application/json"
    headers: Mapping[str, str] = {}


@frozen(kw_only=True)
class NoQuery:
    """The query parameters of an operation that has none."""


@frozen(kw_only=True)
class PageQuery:
    """How many, and from where on."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    cursor: str | None = None


@frozen(kw_only=True)
class Operation:
    """One method on one path.

    ``scope`` is what the caller's key must allow; ``None`` where no key is needed. ``query`` is the attrs class of the
    query parameters, ``None`` where whatever stands there is ignored. ``codes`` are the refusals that this operation
    adds to those that all operations of its shape have.
    """

    method: str
    path: str
    handler: Handler = field(repr=False)
    scope: str | None
    tag: str
    summary: str
    description: str = ""
    query: type[Any] | None = NoQuery
    path_parameters: Mapping[str, str] = {}
    header_parameters: Mapping[str, str] = {}
    body: type[Any] | None = None
    partial_body: bool = False
    """Whether every key of the body may be left out."""
    optional_body: bool = False
    """Whether there may be no body at all."""
    answers: Mapping[int, Answer]
    codes: tuple[str, ...] = ()


def answer(
    record: object, *, status: int = 200, headers: Mapping[str, str] | None = None, drop_none: bool = False
) -> web.Response:
    """A record as a JSON answer: the bare object (contract section 1)."""
    return json_answer(encode(record, drop_none=drop_none), status=status, headers=headers)


def json_answer(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON in UTF-8 as an answer."""
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
