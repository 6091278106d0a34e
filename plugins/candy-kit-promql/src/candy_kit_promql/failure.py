"""Why a query has no usable answer."""

from __future__ import annotations

import msgspec

from candy_core import Reason
from candy_kit_promql import texts

MAX_TEXT = 2000
"""Characters of a server's own error text that are kept."""


class QueryFailed(Exception):
    """A query that failed in an expected way.

    ``reason`` is the contract's word. ``msgid`` is the sentence for people (see :mod:`candy_kit_promql.texts`);
    ``values`` fill it, with ``datasource`` and ``host``, which the caller adds. ``text`` is the server's own error
    text, ``""`` if it has none.
    """

    def __init__(self, reason: Reason, msgid: str, *, text: str = "", **values: object) -> None:
        super().__init__(msgid)
        self.reason = reason
        self.msgid = msgid
        self.values = values
        self.text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def unreadable(error: Exception) -> QueryFailed:
    """The failure for one of :data:`~candy_kit_promql.wire.UNREADABLE`; it says where, and never quotes the answer."""
    if isinstance(error, msgspec.ValidationError):
        return QueryFailed(Reason.BAD_RESPONSE, texts.WRONG_SHAPE, why=str(error))
    why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
    return QueryFailed(Reason.BAD_RESPONSE, texts.NOT_JSON, why=why)
