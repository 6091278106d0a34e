"""How a server is asked what it thinks of an expression, without computing anything worth the name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import quote_plus

from candy_core import Reason
from candy_kit_promql import Endpoint, QueryFailed, Turn

SECONDS = 5.0
"""For one expression."""

LONG_AGO = 100_000_000
"""The instant of 1973 at which expressions are evaluated where there is no other way: there is no data to read."""

_ANSWER_BYTES = 4 * 1024 * 1024
_NO_SUCH_CALL = (400, 404, 405, 501)
"""Statuses, without an error in the API's own format, of servers that do not know a path."""

Question: TypeAlias = Callable[[Endpoint, str], Awaitable[str | None]]
"""Asks about an expression: the server's words if it refuses it, ``None`` if not.

Raises :class:`~candy_kit_promql.QueryFailed` where the server cannot say.
"""


async def ask_prometheus(endpoint: Endpoint, expression: str) -> str | None:
    """By ``/api/v1/format_query``, which parses and no more; by a query of long ago where a server has no such call."""
    from yarl import URL  # late, as the client is

    address = URL(str(endpoint.query_url).removesuffix("query") + "format_query", encoded=True)
    try:
        return await _ask(endpoint, address, f"query={quote_plus(expression)}")
    except QueryFailed as failure:
        if failure.values.get("status") not in _NO_SUCH_CALL:
            raise
    return await ask_long_ago(endpoint, expression)


async def ask_long_ago(endpoint: Endpoint, expression: str) -> str | None:
    """By a query at :data:`LONG_AGO`: parsing and functions are checked, and nothing is found to compute with.

    The one way that every version of VictoriaMetrics has. One that is told to deny such instants cannot say.
    """
    form = f"query={quote_plus(expression)}&time={LONG_AGO}&timeout={SECONDS:g}s&nocache=1"
    return await _ask(endpoint, endpoint.query_url, form)


async def _ask(endpoint: Endpoint, address: object, form: str) -> str | None:
    with Turn(asyncio.Lock()) as turn:
        try:
            await endpoint.ask(address, form.encode(), SECONDS, turn, _ANSWER_BYTES)  # type: ignore[arg-type]
        except QueryFailed as failure:
            if failure.reason is Reason.QUERY_REJECTED:
                return failure.text or "it gives no reason"
            if failure.reason is Reason.TOO_LARGE:
                return None  # it has parsed, or there would be no such answer
            raise
    return None
