"""Posts results. The only module of the plugin that imports aiohttp."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable

import aiohttp

from candy_callback.answers import answer_to
from candy_callback.settings import CallbackSettings
from candy_callback.signature import signature
from candy_callback.target import Target, target_of
from candy_core import (
    Answer,
    Delivery,
    HttpClient,
    NotConfigured,
    NotFound,
    PluginContext,
    Refused,
    Retry,
    Secret,
    dumps,
    network_cause,
)

_DRAIN_BYTES = 4096
_DRAIN_SECONDS = 1.0


def tls_context(context: PluginContext, settings: CallbackSettings) -> ssl.SSLContext:
    """The core's TLS context, with the certificates of ``ca_file`` added. Reads files.

    Raises :class:`~candy_core.NotConfigured` if ``ca_file`` cannot be read.
    """
    tls = context.tls()
    if settings.ca_file is not None:
        try:
            tls.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError):
            raise NotConfigured("plugins.callback.ca_file: expected a readable file of certificates in PEM") from None
    return tls


class CallbackReporter:
    """Tries once to post a result. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        context: PluginContext,
        settings: CallbackSettings,
        http: HttpClient,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._context = context
        self._settings = settings
        self._http = http
        self._clock = clock

    async def deliver(self, delivery: Delivery) -> Answer:
        """Post the document. A network error is a :class:`~candy_core.Retry`, not an exception."""
        target = target_of(self._context, self._settings, delivery.callback, delivery.task_id)
        if isinstance(target, str):
            return Refused(target)
        body = _body(delivery)
        headers = await self._headers(delivery, target, body)
        try:
            async with self._http.request("POST", target.url, data=body, headers=headers) as response:
                answer = answer_to(response.status, response.headers, target.name, self._clock())
                await self._drain(response)
                return answer
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return Retry(f"{target.name}: {self._explain(error)}")

    async def _headers(self, delivery: Delivery, target: Target, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock()))
        headers = dict(target.headers)
        headers["Content-Type"] = "application/json"
        headers["Idempotency-Key"] = delivery.id
        headers["X-Candy-Event"] = delivery.event.value
        headers["X-Candy-Timestamp"] = timestamp
        key = await self._credential("server")
        if key and target.trusted:
            headers["X-API-Key"] = key.reveal()
        secret = self._settings.secret or key or await self._credential("agent")
        if secret:
            headers["X-Candy-Signature"] = signature(secret, timestamp, body)
        return headers

    async def _credential(self, name: str) -> Secret | None:
        try:
            return await self._context.credential(name)
        except NotFound:
            return None

    async def _drain(self, response: aiohttp.ClientResponse) -> None:
        """Read a short body to its end, so that the connection can be reused; a longer or slower one is cut off.

        The status decides the outcome, so an error while reading the body is ignored.
        """
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._http.read_start(response, _DRAIN_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError):
            response.close()

    def _explain(self, error: Exception) -> str:
        """A network error in a few words; never its own text, which may contain the URL."""
        match error:
            case TimeoutError():
                return f"no answer within {self._settings.timeout:g} s"
            case aiohttp.ClientConnectorDNSError():
                return "its name could not be resolved"
            case aiohttp.ClientSSLError() | ssl.SSLError():
                return "no TLS connection could be made: is its certificate trusted? (plugins.callback.ca_file)"
            case aiohttp.ServerDisconnectedError():
                return "closed the connection without an answer"
            case ValueError():
                return "a header or the URL cannot be sent: check the key for Candy-Server"
        return network_cause(error)


def _body(delivery: Delivery) -> bytes:
    """The document, and the task's own ``params`` as its last key.

    They are spliced in as text: decoding and encoding a result of ten thousand items would block the loop for a second.
    """
    params = delivery.callback.params if delivery.callback is not None else None
    if params is None:
        return delivery.document
    inside = delivery.document.rstrip()[:-1].rstrip()
    comma = b"" if inside.endswith(b"{") else b","
    return inside + comma + b'"params":' + dumps(params) + b"}"
