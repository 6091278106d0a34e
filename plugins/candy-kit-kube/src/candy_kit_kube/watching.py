"""Watches (Kubernetes API concepts, "Efficient detection of changes")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from typing import Final

import orjson
from attrs import frozen

from candy_core import BackendUnavailable, Json
from candy_kit_kube.api_errors import TooLarge, error_of
from candy_kit_kube.api_session import ApiSession, Request
from candy_kit_kube.json_values import as_object, as_text

WATCH_SECONDS: Final = 300
"""After how many seconds the API server ends a watch."""
MAX_EVENT: Final = 16 * 1024 * 1024
"""Bytes of one event. etcd bounds objects, by default to 1.5 MB."""


@frozen(kw_only=True)
class Event:
    """One change: ``kind`` is ``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``."""

    kind: str
    object: Mapping[str, Json]


async def watch(
    session: ApiSession, path: str, query: Mapping[str, str], timeout: float
) -> AsyncGenerator[Event, None]:
    """The events of a watch, until the API server ends it. ``timeout`` is for its start. Raises as a request does."""
    query = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
    deadline = asyncio.get_running_loop().time() + WATCH_SECONDS + timeout
    buffer = bytearray()
    try:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(timeout):
                response = await stack.enter_async_context(session.open(Request(method="GET", path=path, query=query)))
            stack.callback(response.close)  # the response does not end by itself
            while True:
                # The timeout is for the reads, not for what the caller does with an event.
                async with asyncio.timeout_at(deadline):
                    chunk = await response.content.readany()
                if not chunk:
                    return
                buffer += chunk
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    if line:
                        yield _event(bytes(line), path)
                if len(buffer) > MAX_EVENT:
                    raise TooLarge(f"an event of the Kubernetes API is longer than {MAX_EVENT} bytes")
    except TimeoutError:
        raise BackendUnavailable("the Kubernetes API has stopped responding in a watch") from None


def _event(line: bytes, path: str) -> Event:
    try:
        document = as_object(orjson.loads(line))
    except ValueError:
        raise BackendUnavailable("an event of the Kubernetes API is not JSON") from None
    kind, target = as_text(document.get("type")), as_object(document.get("object"))
    if kind == "ERROR":
        code = target.get("code")
        raise error_of(code if isinstance(code, int) else 500, {}, orjson.dumps(target), path)
    return Event(kind=kind, object=target)
