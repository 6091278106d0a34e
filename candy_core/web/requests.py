"""Reading and checking requests, within limits."""

from __future__ import annotations

import asyncio
import re

from aiohttp import ClientPayloadError, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from candy_core.codec import loads
from candy_core.model.task import TASK_ID_PATTERN, Json
from candy_core.web.problems import RequestRejected
from candy_core.web.request_context import RequestContext, RequestLimits

_THREAD_BYTES = 256 * 1024
"""Larger bodies are parsed in a thread: they would block the event loop for a tenth of a second."""
_TASK_ID = re.compile(TASK_ID_PATTERN.replace("$", r"\Z"))
_PREFERENCE = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)
        (\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"|[!#$%&'*+.^_`|~0-9A-Za-z-]*))?
        (\s*;[^,"]*("(?:[^"\\]|\\.)*"[^,"]*)*)?\s*(,|\Z)""",
    re.VERBOSE,
)


async def read_json(context: RequestContext) -> Json:
    """The body as a JSON value.

    Raises, in this order (contract section 1): 415 for another content type or a content coding (before anything is
    decompressed), 413 for a body over the limit, by its ``Content-Length`` or while it is read, 400 for invalid JSON.
    """
    request = context.request
    _check_content_type(request)
    length = request.content_length
    if length is not None and length > context.limits.size:
        raise _too_large(context.limits.size)
    body = await _read(request, context.limits)
    if len(body) > _THREAD_BYTES:
        return await asyncio.to_thread(loads, body)
    return loads(body)


def is_task_id(text: str) -> bool:
    """Whether a text is a valid task id (contract section 1)."""
    return _TASK_ID.match(text) is not None


def preferences(request: web.Request) -> dict[str, str]:
    """The preferences of a request's ``Prefer`` headers (RFC 7240), by lower-case name; the first of a name counts.

    Malformed ones are ignored, as the RFC demands.
    """
    found: dict[str, str] = {}
    text = ", ".join(request.headers.getall("Prefer", ()))
    position = 0
    while position < len(text):
        match = _PREFERENCE.match(text, position)
        if match is None:
            comma = text.find(",", position)
            position = comma + 1 if comma >= 0 else len(text)
            continue
        value = match["value"] or ""
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found.setdefault(match["name"].lower(), value)
        position = match.end()
    return found


def _check_content_type(request: web.Request) -> None:
    headers = request.headers
    given = headers.getall(hdrs.CONTENT_TYPE, [])
    if len(given) != 1 or given[0].partition(";")[0].strip().lower() != "application/json":
        raise RequestRejected("unsupported_media_type", "Send the body as Content-Type: application/json.")
    coding = ", ".join(headers.getall(hdrs.CONTENT_ENCODING, [])).strip().lower()
    if coding not in ("", "identity"):
        raise RequestRejected(
            "unsupported_media_type",
            "Send the body without a Content-Encoding; compressed bodies are not accepted.",
            headers={"Accept-Encoding": "identity"},
        )


async def _read(request: web.Request, limits: RequestLimits) -> bytes:
    content = request.content
    try:
        if content.is_eof():  # all of it has arrived: the usual case, which needs no timeout
            whole = content.read_nowait()
            if len(whole) > limits.size:
                raise _too_large(limits.size)
            return whole
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            # Only now: a client should not send a body that would be rejected.
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # aiohttp takes written bytes for the start of the response
        body = bytearray()
        async with asyncio.timeout(limits.seconds):
            while True:
                async with asyncio.timeout(limits.pause):
                    piece = await content.readany()
                if not piece:
                    return bytes(body)
                body += piece
                if len(body) > limits.size:
                    raise _too_large(limits.size)
    except TimeoutError:
        raise RequestRejected("bad_json", "The body came too slowly: send all of it at once.", close=True) from None
    except (ClientPayloadError, web.RequestPayloadError, HttpProcessingError, ConnectionError):
        raise RequestRejected("bad_json", "The body is incomplete.", close=True) from None


def _too_large(size: int) -> RequestRejected:
    return RequestRejected("too_large", f"The body is larger than {size} bytes (CANDY_MAX_BODY).")
