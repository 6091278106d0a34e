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
from candy_kit_kube.json_values import members, text

WATCH_SECONDS: Final = 300
"""How long a watch lasts; the API server ends it then, and who wants more begins another."""
MAX_EVENT: Final = 16 * 1024 * 1024
"""Bytes of one event. Objects are bounded by etcd, to 1.5 MB by default."""


@frozen(kw_only=True)
class Event:
    """One change: ``kind`` is ``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``."""

    kind: str
    object: Mapping[str, Json]


async def watch(
    session: ApiSession, path: str, query: Mapping[str, str], timeout: float
) -> AsyncGenerator[Event, None]:
    """The events of a watch, until the API server ends it. ``timeout`` bounds its beginning. Raises as a request."""
    asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
    until = asyncio.get_running_loop().time() + WATCH_SECONDS + timeout
    kept = bytearray()
    try:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(timeout):
                response = await stack.enter_async_context(session.open(Request(method="GET", path=path, query=asked)))
            stack.callback(response.close)  # the answer has no end of its own
            while True:
                # The time is bounded around each read, not around what the caller does with an event.
                async with asyncio.timeout_at(until):
                    piece = await response.content.readany()
                if not piece:
                    return
                kept += piece
                *lines, kept = kept.split(b"\n")
                for line in lines:
                    if line:
                        yield _event(bytes(line), path)
                if len(kept) > MAX_EVENT:
                    raise TooLarge(f"the Kubernetes API sends an event of more than {MAX_EVENT} bytes")
    except TimeoutError:
        raise BackendUnavailable("the Kubernetes API has fallen silent in a watch") from None


def _event(line: bytes, path: str) -> Event:
    try:
        said = members(orjson.loads(line))
    except ValueError:
        raise BackendUnavailable("the Kubernetes API sends an event that is not JSON") from None
    kind, changed = text(said.get("type")), members(said.get("object"))
    if kind == "ERROR":
        code = changed.get("code")
        raise error_of(code if isinstance(code, int) else 500, {}, orjson.dumps(changed), path)
    return Event(kind=kind, object=changed)
