"""Operations: a route, its handler, and its part of the OpenAPI document, in one record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeAlias

from aiohttp import web
from attrs import field, frozen
from msgspec import Meta

from candy_core.codec import encode
from candy_core.web.request_context import RequestContext

Handler: TypeAlias = Callable[[RequestContext], Awaitable[web.Response]]


@frozen
class ResponseSpec:
    """A documented response.

    ``record`` is the attrs class of its body, or a union of such classes. ``media`` is its media type.
    """

    description: str
    record: Any = None
    media: str = "application/json"
    headers: Mapping[str, str] = {}


@frozen(kw_only=True)
class NoQuery:
    """For an operation without query parameters."""


@frozen(kw_only=True)
class PageQuery:
    """Paging."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    cursor: str | None = None


@frozen(kw_only=True)
class Operation:
    """One method on one path.

    ``scope`` is the scope that the caller's key needs; ``None`` if no key is needed. ``query`` is the attrs class of
    the query parameters; ``None`` if they are ignored. ``codes`` are problem codes in addition to those that follow
    from the other fields.
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
    """Whether every key of the body is optional."""
    optional_body: bool = False
    """Whether the body may be missing."""
    responses: Mapping[int, ResponseSpec]
    codes: tuple[str, ...] = ()


def json_response(
    record: object, *, status: int = 200, headers: Mapping[str, str] | None = None, drop_none: bool = False
) -> web.Response:
    """A record as a JSON response: the bare object (contract section 1)."""
    return raw_json_response(encode(record, drop_none=drop_none), status=status, headers=headers)


def raw_json_response(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A response from encoded JSON."""
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
