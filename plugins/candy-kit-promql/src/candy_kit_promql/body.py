"""Reading an answer's bytes within bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from candy_core import Reason
from candy_kit_promql import texts
from candy_kit_promql.failure import QueryFailed
from candy_kit_promql.large import LARGE
from candy_kit_promql.wire import Buffer

if TYPE_CHECKING:
    from aiohttp import ClientResponse

Take = Callable[[], Awaitable[None]]
"""Waits for the turn that a large answer needs; does nothing once it was taken."""

ERROR_LIMIT = 64 * 1024
"""Bytes that are read of an answer that is none."""


async def read_body(response: ClientResponse, limit: int, take: Take) -> Buffer:
    """The body, read piece by piece and given up at the piece that goes over ``limit`` bytes (contract section 7).

    Raises :class:`QueryFailed` with ``too_large``; what aiohttp raises for a connection that breaks passes through.
    """
    announced = response.content_length
    if announced is not None and announced > limit:
        raise QueryFailed(Reason.TOO_LARGE, texts.TOO_LARGE, limit=limit)
    content = response.content
    first = await content.readany()
    if content.at_eof():
        if len(first) > limit:
            raise QueryFailed(Reason.TOO_LARGE, texts.TOO_LARGE, limit=limit)
        return first
    body = bytearray(first)
    while True:
        if len(body) > limit:
            raise QueryFailed(Reason.TOO_LARGE, texts.TOO_LARGE, limit=limit)
        if len(body) > LARGE:
            await take()
        piece = await content.readany()
        if not piece:
            return body
        body += piece


async def read_start(response: ClientResponse) -> bytes:
    """At most the first :data:`ERROR_LIMIT` bytes of a body, for the server's own words about an error."""
    body = bytearray()
    while len(body) < ERROR_LIMIT:
        piece = await response.content.readany()
        if not piece:
            break
        body += piece
    return bytes(body[:ERROR_LIMIT])
