"""Ways to have a server check an expression without computing anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote_plus

from candy_core import Reason
from candy_kit_promql import Endpoint, QueryFailed

if TYPE_CHECKING:
    from yarl import URL

SECONDS = 5.0
"""Time limit for one expression."""

PAST = 100_000_000
"""An instant in 1973: a query there finds no data."""

_ANSWER_BYTES = 4 * 1024 * 1024
_NO_SUCH_PATH = (400, 404, 405, 501)
"""Statuses, without an error in the API's own format, of servers that do not have a path."""

ExpressionCheck: TypeAlias = Callable[[Endpoint, str], Awaitable[str | None]]
"""Has a server check an expression: the server's error text if it rejects it, else ``None``.

Raises :class:`~candy_kit_promql.QueryFailed` if the server cannot check it.
"""


async def check_by_parsing(endpoint: Endpoint, expression: str) -> str | None:
    """By ``/api/v1/format_query``, which only parses; by :func:`check_by_past_query` if the server has no such path."""
    url = endpoint.query_url.with_name("format_query")
    try:
        return await _check(endpoint, url, f"query={quote_plus(expression)}")
    except QueryFailed as failure:
        if failure.values.get("status") not in _NO_SUCH_PATH:
            raise
    return await check_by_past_query(endpoint, expression)


async def check_by_past_query(endpoint: Endpoint, expression: str) -> str | None:
    """By a query at :data:`PAST`: the server checks syntax and functions, and finds no data to compute with.

    The only way that every version of VictoriaMetrics supports. A server configured to deny such instants cannot check.
    """
    form = f"query={quote_plus(expression)}&time={PAST}&timeout={SECONDS:g}s&nocache=1"
    return await _check(endpoint, endpoint.query_url, form)


async def _check(endpoint: Endpoint, url: URL, form: str) -> str | None:
    try:
        await endpoint.request(url, form.encode(), SECONDS, limit=_ANSWER_BYTES)
    except QueryFailed as failure:
        if failure.reason is Reason.QUERY_REJECTED:
            return failure.text or "it gives no reason"
        if failure.reason is Reason.TOO_LARGE:
            return None  # it was parsed, or there would be no such answer
        raise
    return None
