"""From HTTP statuses and the query API's errors to the contract's reasons."""

from __future__ import annotations

import re

from candy_core import Reason
from candy_kit_promql import texts
from candy_kit_promql.failure import QueryFailed
from candy_kit_promql.wire import UNREADABLE, Buffer, Reply, read_reply

_TIMEOUT_TEXT = "timeout exceeded"
"""VictoriaMetrics' text for a query that took too long; its ``errorType`` is the HTTP status, 422 or 503."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
"""The query, which error texts quote."""


def status_failure(status: int, body: Buffer) -> QueryFailed:
    """The failure for an HTTP status other than 200.

    429, 502, 503, and an error that says the query was canceled, are often temporary: they are ``unreachable``, which
    an item's ``retries`` try again. 504 is ``timeout``.
    """
    if status in (401, 403):
        return QueryFailed(Reason.AUTH_FAILED, texts.UNAUTHORIZED, status=status)
    if 300 <= status < 400:
        return QueryFailed(Reason.BAD_RESPONSE, texts.REDIRECTED, status=status)
    try:
        reply = read_reply(body)
    except UNREADABLE:
        reply = None
    if reply is not None and reply.status == "error":
        return api_failure(reply, status)
    if status in (429, 502, 503):
        return QueryFailed(Reason.UNREACHABLE, texts.UNAVAILABLE, status=status)
    if status == 504:
        return QueryFailed(Reason.TIMEOUT, texts.SERVER_TIMED_OUT, text=f"HTTP {status}")
    return QueryFailed(Reason.BAD_RESPONSE, texts.BAD_STATUS, status=status)


def api_failure(reply: Reply, status: int) -> QueryFailed:
    """The failure for an error in the API's own format: by Prometheus' ``errorType``, else by the HTTP status."""
    text = reply.error or reply.errorType or f"HTTP {status}"
    match reply.errorType:
        case "bad_data" | "execution":
            return QueryFailed(Reason.QUERY_REJECTED, texts.REJECTED, text=text)
        case "timeout":
            return QueryFailed(Reason.TIMEOUT, texts.SERVER_TIMED_OUT, text=text)
        case "canceled" | "unavailable":
            return QueryFailed(Reason.UNREACHABLE, texts.INTERNAL, text=text)
        case "internal":
            return QueryFailed(Reason.BAD_RESPONSE, texts.INTERNAL, text=text)
    if _TIMEOUT_TEXT in _QUOTED.sub("", text):
        return QueryFailed(Reason.TIMEOUT, texts.SERVER_TIMED_OUT, text=text)
    if status in (429, 502, 503):
        return QueryFailed(Reason.UNREACHABLE, texts.INTERNAL, text=text)
    if status == 504:
        return QueryFailed(Reason.TIMEOUT, texts.SERVER_TIMED_OUT, text=text)
    if 400 <= status < 500:
        return QueryFailed(Reason.QUERY_REJECTED, texts.REJECTED, text=text)
    return QueryFailed(Reason.BAD_RESPONSE, texts.INTERNAL, text=text)
