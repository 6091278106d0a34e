"""Operations: a route, its handler, and all that the API's document says about it, in one record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeAlias

from aiohttp import web
from attrs import field, frozen
from msgspec import Meta

from candy_core.codec import encode
from candy_core.web.call import Call

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
