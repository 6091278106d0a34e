"""HTTP sessions, and reading answers within a bound. ``aiohttp`` is imported late: half a second and 38 MB."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from attrs import frozen

from candy_core.version import __version__

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from yarl import URL

START_BYTES = 64 * 1024
"""How much of an answer is read by default where only its beginning matters, such as an error's own words."""


class AnswerTooLarge(Exception):
    """An answer is longer than its bound; its connection is closed, since what has not been read may never end."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the answer is longer than {limit} bytes")


@frozen
class HttpClient:
    """A session of kept connections. No redirect is followed: it would carry a credential elsewhere.

    ``limit`` bounds what :meth:`read` reads of an answer, in bytes.
    """

    session: ClientSession
    limit: int

    def request(self, method: str, url: str | URL, **options: Any) -> AbstractAsyncContextManager[ClientResponse]:
        """Send a request; ``options`` are those of ``aiohttp.ClientSession.request``. Raises what aiohttp raises."""
        return self.session.request(method, url, allow_redirects=False, **options)

    async def read(
        self,
        response: ClientResponse,
        limit: int | None = None,
        before_more: Callable[[int], Awaitable[None]] | None = None,
    ) -> bytes | bytearray:
        """The whole body. Raises :class:`AnswerTooLarge` past ``limit`` bytes, and what aiohttp raises.

        ``before_more`` is awaited with the bytes read so far before each further piece is read.
        """
        limit = self.limit if limit is None else min(limit, self.limit)
        content = response.content
        if (response.content_length or 0) <= limit:
            body: bytes | bytearray = await content.readany()
            while len(body) <= limit:
                if content.at_eof():
                    return body
                if before_more is not None:
                    await before_more(len(body))
                body = body if isinstance(body, bytearray) else bytearray(body)
                body += await content.readany()
        response.close()
        raise AnswerTooLarge(limit)

    async def read_start(self, response: ClientResponse, limit: int = START_BYTES) -> bytes:
        """At most the first ``limit`` bytes of a body. The connection of a longer one is closed."""
        body = bytearray()
        while piece := await response.content.readany():
            body += piece
            if len(body) >= limit:
                response.close()
                break
        return bytes(body[:limit])


@asynccontextmanager
async def http_client(
    *,
    limit: int,
    connections: int = 0,
    timeout: float | None = None,
    connect_timeout: float | None = 10.0,
    keep_alive: float = 60.0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HttpClient]:
    """A client for the time of the block; connects to nothing yet.

    ``connections`` bounds those at one time (0: no bound), ``timeout`` and ``connect_timeout`` a request and its
    connecting, in seconds (``None``: no bound). An idle connection is kept for ``keep_alive`` seconds. ``tls`` is the
    context of every request that brings none of its own.
    Answers come uncompressed, since a small gzip may be a large answer; there are no cookies, and no proxy is taken
    from the environment.
    """
    import aiohttp

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=tls if tls is not None else True, limit=connections, keepalive_timeout=keep_alive
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": f"candy-agent/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=connect_timeout),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=256 * 1024,
    ) as session:
        yield HttpClient(session, limit)


def network_cause(error: Exception) -> str:
    """Why a request failed, in a few words: the system's own where there are any, never the address."""
    inner = getattr(error, "os_error", error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {inner.verify_message}"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(error).__name__
