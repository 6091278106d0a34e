"""HTTP requests to the datasources."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from candy_core import AnswerTooLarge, HttpClient, PluginContext, Reason, network_cause
from candy_kit_promql import texts
from candy_kit_promql.api_error import api_failure, status_failure
from candy_kit_promql.authorization import Authorization, tls_context
from candy_kit_promql.datasource import Datasource
from candy_kit_promql.failure import QueryFailed, unreadable
from candy_kit_promql.large_answer import LARGE, LargeAnswerLock
from candy_kit_promql.wire import UNREADABLE, Buffer, Reply, read_reply

if TYPE_CHECKING:
    from yarl import URL

_HEADERS = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}


class Endpoint:
    """One datasource and what its requests share.

    ``slots`` has one slot for each connection. A query takes one first, so that it never waits for a connection while
    its timeout runs. They are the datasource's own: one that hangs delays no other.
    """

    def __init__(
        self,
        name: str,
        datasource: Datasource,
        client: HttpClient,
        *,
        tls: ssl.SSLContext | None,
        connections: int,
        large_answers: asyncio.Lock,
    ) -> None:
        from yarl import URL  # late, as aiohttp is

        if datasource.url is None:
            raise ValueError(f"datasource {name} has no url")
        base = datasource.url
        self.name = name
        self.host = datasource.url.address
        self.timeout = datasource.timeout
        self.query_url = URL(f"{base}/api/v1/query", encoded=True)
        self.range_url = URL(f"{base}/api/v1/query_range", encoded=True)
        self.series_url = URL(f"{base}/api/v1/series", encoded=True)
        self.build_url = URL(f"{base}/api/v1/status/buildinfo", encoded=True)
        self.flags_url = URL(f"{base}/api/v1/status/flags", encoded=True)
        self.slots = asyncio.Semaphore(connections)
        self._authorization = Authorization(datasource)
        self._client = client
        self._tls = tls if tls is not None else True
        self._large_answers = (asyncio.Lock(), large_answers)

    def large_answer_lock(self) -> LargeAnswerLock:
        """For a caller that keeps an answer after :meth:`request`: held from the first large one on."""
        return LargeAnswerLock(*self._large_answers)

    async def request(
        self,
        url: URL,
        form: bytes | None,
        seconds: float,
        lock: LargeAnswerLock | None = None,
        limit: int | None = None,
    ) -> tuple[Reply, Buffer]:
        """POST ``form``, or GET without one; give the answer's envelope, and the bytes that it refers to.

        The time limit is ``seconds``, or the datasource's own timeout if that is shorter; its own timeout does not
        count the wait for ``lock``, which other queries cause. Without a lock one is held until the answer is read.
        ``limit`` may lower the agent's own bound on an answer, in bytes. Raises :class:`QueryFailed`.

        A request is sent once more if its connection turned out to be dead, as a kept one may be. That is safe, since
        a query changes nothing.
        """
        import aiohttp  # late: half a second and 38 MB

        if lock is None:
            with self.large_answer_lock() as lock:
                return await self.request(url, form, seconds, lock, limit)
        latest = asyncio.get_running_loop().time() + seconds
        seconds = min(seconds, self.timeout)
        try:
            async with asyncio.timeout(seconds) as timeout:
                send = partial(self._send, url, form, limit, partial(_lock_if_large, lock, timeout, latest))
                try:
                    body = await send()
                except aiohttp.ClientConnectorError:
                    raise
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    body = await send()
        except TimeoutError:
            raise QueryFailed(Reason.TIMEOUT, texts.TIMED_OUT, seconds=f"{seconds:g}") from None
        except AnswerTooLarge as error:
            raise QueryFailed(Reason.TOO_LARGE, texts.TOO_LARGE, limit=error.limit) from None
        except aiohttp.ClientPayloadError:
            raise QueryFailed(Reason.UNREACHABLE, texts.BROKEN_OFF) from None
        except aiohttp.ServerDisconnectedError:
            why = "it closed the connection without an answer"
            raise QueryFailed(Reason.UNREACHABLE, texts.UNREACHABLE, why=why) from None
        except aiohttp.ClientResponseError:  # its text quotes the answer, which may repeat the credentials
            raise QueryFailed(Reason.BAD_RESPONSE, texts.NOT_JSON, why="it is not even HTTP") from None
        except (aiohttp.ClientError, OSError) as error:
            raise QueryFailed(Reason.UNREACHABLE, texts.UNREACHABLE, why=network_cause(error)) from None
        return self._envelope(body), body

    async def _send(
        self, url: URL, form: bytes | None, limit: int | None, before_more: Callable[[int], Awaitable[None]]
    ) -> Buffer:
        try:
            headers = await self._authorization.headers()
        except (OSError, ValueError) as error:
            raise QueryFailed(Reason.NOT_CONFIGURED, texts.NO_CREDENTIAL, why=network_cause(error)) from None
        method = "GET" if form is None else "POST"
        async with self._client.request(
            method, url, data=form, headers={**_HEADERS, **headers}, ssl=self._tls
        ) as response:
            if response.status != 200:
                start = await self._client.read_start(response)
                raise status_failure(response.status, self._authorization.redact(start))
            if response.headers.get("Content-Encoding", "identity") != "identity":
                response.close()  # what has not been read may never end
                raise QueryFailed(Reason.BAD_RESPONSE, texts.COMPRESSED)
            return await self._client.read(response, limit, before_more)

    def _envelope(self, body: Buffer) -> Reply:
        try:
            reply = read_reply(body)
        except UNREADABLE as error:
            raise unreadable(error) from None
        if reply.status == "error":
            raise api_failure(read_reply(self._authorization.redact(bytes(body))), 200)
        if reply.status != "success":
            raise QueryFailed(Reason.BAD_RESPONSE, texts.WRONG_SHAPE, why="its status is neither success nor error")
        return reply


@asynccontextmanager
async def open_endpoints(
    context: PluginContext, datasources: Mapping[str, Datasource], *, connections: int
) -> AsyncIterator[Mapping[str, Endpoint]]:
    """An endpoint for each datasource, by name. Connects to nothing yet, and closes the connections at the end.

    ``connections`` bounds those to each datasource. Raises ``OSError`` for a certificate file that cannot be read.
    """
    tls = {name: await asyncio.to_thread(tls_context, source, context.tls) for name, source in datasources.items()}
    async with context.http() as client:
        large_answers = asyncio.Lock()
        yield {
            name: Endpoint(name, source, client, tls=tls[name], connections=connections, large_answers=large_answers)
            for name, source in datasources.items()
        }


async def _lock_if_large(lock: LargeAnswerLock, timeout: asyncio.Timeout, latest: float, read: int) -> None:
    """Once an answer is large, wait for the lock; ``timeout`` is suspended meanwhile, though not beyond ``latest``."""
    if read <= LARGE or lock.held:
        return
    loop = asyncio.get_running_loop()
    left = (timeout.when() or latest) - loop.time()
    timeout.reschedule(latest)
    await lock.acquire()
    timeout.reschedule(min(latest, loop.time() + left))
