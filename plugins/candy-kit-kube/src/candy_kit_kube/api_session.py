"""One session of kept connections to the API server: sending, letting in, reading within bounds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from attrs import frozen

from candy_core import BackendUnavailable, Overloaded, PluginContext
from candy_kit_kube.api_errors import TooLarge, Unauthenticated, error_of
from candy_kit_kube.connection import Connection
from candy_kit_kube.connections import Connections

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

TRIES: Final = 4
"""How often a request is sent at most where the API server answers 429."""
_ERROR_BYTES: Final = 256 * 1024
"""Bytes of an error's body that are read."""


@frozen(kw_only=True)
class Request:
    """One request; ``path`` is quoted, ``data`` is the body."""

    method: str
    path: str
    query: Mapping[str, str]
    data: bytes | None = None
    content_type: str = "application/json"


class ApiSession:
    """Sends requests to whatever the connection of now is, over a session that is shared by all of them."""

    def __init__(self, connections: Connections, session: ClientSession, limit: int) -> None:
        self.connections = connections
        self._session = session
        self._limit = limit

    async def call(self, request: Request, until: float) -> bytes:
        """Send it and read the whole answer. Where it is 429 wait as told and try again, before ``until`` (loop time).

        Raises the errors of :func:`~candy_kit_kube.api_errors.error_of`, :class:`TooLarge`, ``BackendUnavailable``.
        """
        for left in reversed(range(TRIES)):
            try:
                async with self.open(request) as response:
                    return await _read(response, self._limit)
            except Overloaded as error:
                wait = error.retry_after
                if not left or asyncio.get_running_loop().time() + wait >= until:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("unreachable: the last try returns or raises")

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[ClientResponse]:
        """Send it and give the answer, of which the body is not read yet; anything but 2xx is raised.

        A credential that is not taken is looked for again, once.
        """
        connection = await self.connections.current()
        try:
            async with self._sent(connection, request) as response:
                yield response
                return
        except Unauthenticated:
            other = await self.connections.renewed(connection)
            if other is None:
                raise
        async with self._sent(other, request) as response:
            yield response

    @asynccontextmanager
    async def _sent(self, connection: Connection, request: Request) -> AsyncIterator[ClientResponse]:
        from yarl import URL  # late, as aiohttp is

        address = f"{connection.base}{request.path}"
        if request.query:
            address += "?" + urlencode(request.query)
        headers = {"Content-Type": request.content_type} if request.data is not None else {}
        if connection.authorization:
            headers["Authorization"] = connection.authorization
        with self._broken(connection):
            async with self._session.request(
                request.method,
                URL(address, encoded=True),
                data=request.data,
                headers=headers,
                ssl=connection.tls or True,
                server_hostname=connection.server_name,
                proxy=connection.proxy,
                allow_redirects=False,
            ) as response:
                if not 200 <= response.status < 300:
                    body = await _start(response)
                    if secret := connection.authorization.partition(" ")[2]:
                        body = body.replace(secret.encode(), b"******")
                    raise error_of(response.status, response.headers, body, request.path)
                yield response

    @contextmanager
    def _broken(self, connection: Connection) -> Iterator[None]:
        """Name what goes wrong between here and there."""
        import aiohttp

        where = f"the Kubernetes API at {connection.host}"
        try:
            yield
        except aiohttp.ClientPayloadError:
            raise BackendUnavailable(f"{where} broke off in the middle of an answer") from None
        except aiohttp.ServerDisconnectedError:
            self.connections.doubt()
            raise BackendUnavailable(f"{where} closed the connection without an answer") from None
        except aiohttp.ClientHttpProxyError as error:
            raise BackendUnavailable(f"{where} cannot be reached: its proxy answers {error.status}") from None
        except aiohttp.ClientResponseError:
            # The parser's words quote what came, which may repeat what was sent.
            raise BackendUnavailable(f"{where} answers with something that is not HTTP") from None
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            self.connections.doubt()
            raise BackendUnavailable(f"{where} cannot be reached: {_why(error)}") from None


@asynccontextmanager
async def open_session(context: PluginContext, connections: Connections) -> AsyncIterator[ApiSession]:
    """Make a session, and close its connections at the end. Connects to nothing yet."""
    import aiohttp  # late: half a second and 38 MB

    async with aiohttp.ClientSession(
        # Who may ask is bounded by turns; a watch must not take one of the connections that they go by.
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={
            "Accept": "application/json",
            # Answers are bounded while they are read, so they come as they are: a small gzip may be a large answer.
            "Accept-Encoding": "identity",
            "User-Agent": f"candy-agent/{context.core_version}",
        },
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=256 * 1024,
    ) as session:
        yield ApiSession(connections, session, context.limits.answer)


async def _read(response: ClientResponse, limit: int) -> bytes:
    length = response.content_length
    if length is not None and length <= limit:
        return await response.read()
    pieces = bytearray()
    if length is None:
        async for piece in response.content.iter_any():
            pieces += piece
            if len(pieces) > limit:
                break
        else:
            return bytes(pieces)
    response.close()
    raise TooLarge(f"the Kubernetes API answers more than {limit} bytes")


async def _start(response: ClientResponse) -> bytes:
    """The beginning of a body; what has not been read may never end, so the connection goes with it."""
    pieces = bytearray()
    async for piece in response.content.iter_any():
        pieces += piece
        if len(pieces) >= _ERROR_BYTES:
            response.close()
            break
    return bytes(pieces)


def _why(error: Exception) -> str:
    """A short cause: the system's own words where there are any."""
    inner = getattr(error, "os_error", error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {inner.verify_message}"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(error).__name__
