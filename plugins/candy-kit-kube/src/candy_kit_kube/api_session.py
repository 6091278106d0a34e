"""Sends requests to the API server, with retries after 429 and a new credential after 401."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from attrs import frozen

from candy_core import AnswerTooLarge, BackendUnavailable, HttpClient, Overloaded, network_cause
from candy_kit_kube.api_errors import TooLarge, Unauthenticated, error_of
from candy_kit_kube.connection import Connection
from candy_kit_kube.connection_cache import ConnectionCache

if TYPE_CHECKING:
    from aiohttp import ClientResponse

TRIES: Final = 4
"""The most times that a request is sent while the API server returns 429."""
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
    """Sends requests over the current connection; all connections share one HTTP client."""

    def __init__(self, connections: ConnectionCache, http: HttpClient) -> None:
        self.connections = connections
        self._http = http

    async def call(self, request: Request, deadline: float) -> bytes | bytearray:
        """Send it and read the whole body. After a 429 wait as requested and retry, before ``deadline`` (loop time).

        Raises the errors of :func:`~candy_kit_kube.api_errors.error_of`, :class:`TooLarge`, ``BackendUnavailable``.
        """
        for remaining in reversed(range(TRIES)):
            try:
                async with self.open(request) as response:
                    return await self._http.read(response)
            except AnswerTooLarge as error:
                raise TooLarge(f"the response of the Kubernetes API is longer than {error.limit} bytes") from None
            except Overloaded as error:
                wait = error.retry_after
                if not remaining or asyncio.get_running_loop().time() + wait >= deadline:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("unreachable: the last try returns or raises")

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[ClientResponse]:
        """Send it and yield the response, its body not read yet; any status but 2xx is raised as an error.

        After a 401 the credential is read again, and the request is sent once more if it has changed.
        """
        connection = await self.connections.get()
        try:
            async with self._send(connection, request) as response:
                yield response
                return
        except Unauthenticated:
            renewed = await self.connections.renew(connection)
            if renewed is None:
                raise
        async with self._send(renewed, request) as response:
            yield response

    @asynccontextmanager
    async def _send(self, connection: Connection, request: Request) -> AsyncIterator[ClientResponse]:
        from yarl import URL  # late, as aiohttp is

        address = f"{connection.base}{request.path}"
        if request.query:
            address += "?" + urlencode(request.query)
        headers = {"Accept": "application/json"}
        if request.data is not None:
            headers["Content-Type"] = request.content_type
        if connection.authorization:
            headers["Authorization"] = connection.authorization
        with self._translate_errors(connection):
            async with self._http.request(
                request.method,
                URL(address, encoded=True),
                data=request.data,
                headers=headers,
                ssl=connection.tls or True,
                server_hostname=connection.server_name,
                proxy=connection.proxy,
            ) as response:
                if not 200 <= response.status < 300:
                    body = await self._http.read_start(response, _ERROR_BYTES)
                    if secret := connection.authorization.partition(" ")[2]:
                        body = body.replace(secret.encode(), b"******")
                    raise error_of(response.status, response.headers, body, request.path)
                yield response

    @contextmanager
    def _translate_errors(self, connection: Connection) -> Iterator[None]:
        """Raise ``BackendUnavailable`` for an error of the network or of the HTTP protocol."""
        import aiohttp

        server = f"the Kubernetes API at {connection.host}"
        try:
            yield
        except aiohttp.ClientPayloadError:
            raise BackendUnavailable(f"{server} closed the connection in the middle of a response") from None
        except aiohttp.ServerDisconnectedError:
            self.connections.invalidate()
            raise BackendUnavailable(f"{server} closed the connection without a response") from None
        except aiohttp.ClientHttpProxyError as error:
            raise BackendUnavailable(f"{server} cannot be reached: its proxy returned {error.status}") from None
        except aiohttp.ClientResponseError:
            # The parser's message quotes the response, which may repeat what was sent.
            raise BackendUnavailable(f"the response of {server} is not HTTP") from None
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            self.connections.invalidate()
            raise BackendUnavailable(f"{server} cannot be reached: {network_cause(error)}") from None
