"""Asking one datasource over HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from candy_core import PluginContext, Reason
from candy_kit_promql import texts
from candy_kit_promql.authorization import Authorization, tls_context
from candy_kit_promql.body import Take, read_body, read_start
from candy_kit_promql.datasource import Datasource, MetricSettings
from candy_kit_promql.failure import QueryFailed, unreadable
from candy_kit_promql.large import Turn
from candy_kit_promql.refusal import error_of, refusal
from candy_kit_promql.wire import UNREADABLE, Buffer, Reply, read_reply

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from yarl import URL

_OWN_HEADERS = {
    "Accept": "application/json",
    # Answers are bounded while they are read, so they come as they are: a small gzip may be a large answer.
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": "candy-agent",
}


class Endpoint:
    """One datasource, ready to be asked. Everything that every request shares is made once, here.

    ``room`` has a place for each connection: whoever asks a question takes one first, so that nobody waits for a
    connection while the time of a question runs. It is the datasource's own: one that hangs holds up no other.
    """

    def __init__(
        self,
        name: str,
        datasource: Datasource,
        session: ClientSession,
        *,
        tls: ssl.SSLContext | None,
        limit: int,
        connections: int,
        large: asyncio.Lock,
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
        self._authorization = Authorization(datasource)
        self._session = session
        self._tls = tls if tls is not None else True
        self._limit = limit
        self.room = asyncio.Semaphore(connections)
        self._large = (asyncio.Lock(), large)

    def turn(self) -> Turn:
        """What a question holds while it reads a large answer, once it is as far."""
        return Turn(*self._large)

    async def ask(
        self, url: URL, form: bytes | None, seconds: float, turn: Turn, limit: int | None = None
    ) -> tuple[Reply, Buffer]:
        """POST ``form`` and read the envelope of the answer; the bytes that it was read from are beside it.

        Without a form it is a GET. ``seconds`` bounds the whole of it; the datasource's own timeout bounds it too, but
        for the time in which a large answer waits for its turn, since others cause that. ``limit`` bounds the bytes of
        the answer, beside the agent's. Raises :class:`QueryFailed`.
        A request is sent once more where the connection turned out to be dead, as a kept one may be: a query changes
        nothing.
        """
        import aiohttp  # late: half a second and 38 MB

        latest = asyncio.get_running_loop().time() + seconds
        seconds = min(seconds, self.timeout)
        try:
            async with asyncio.timeout(seconds) as clock:
                take = partial(_take, turn, clock, latest)
                try:
                    body = await self._send(url, form, take, limit)
                except aiohttp.ClientConnectorError:
                    raise
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    body = await self._send(url, form, take, limit)
        except TimeoutError:
            raise QueryFailed(Reason.TIMEOUT, texts.TIMED_OUT, seconds=f"{seconds:g}") from None
        except aiohttp.ClientPayloadError:
            raise QueryFailed(Reason.UNREACHABLE, texts.BROKEN_OFF) from None
        except aiohttp.ServerDisconnectedError:
            why = "it closed the connection without an answer"
            raise QueryFailed(Reason.UNREACHABLE, texts.UNREACHABLE, why=why) from None
        except aiohttp.ClientResponseError:  # whose words quote what came, which may repeat what was sent
            raise QueryFailed(Reason.BAD_RESPONSE, texts.NOT_JSON, why="it is not even HTTP") from None
        except (aiohttp.ClientError, OSError) as error:
            raise QueryFailed(Reason.UNREACHABLE, texts.UNREACHABLE, why=_why(error)) from None
        return self._envelope(body), body

    async def _send(self, url: URL, form: bytes | None, take: Take, limit: int | None) -> Buffer:
        try:
            headers = await self._authorization.headers()
        except (OSError, ValueError) as error:
            raise QueryFailed(Reason.NOT_CONFIGURED, texts.NO_CREDENTIAL, why=_why(error)) from None
        async with self._session.request(
            "GET" if form is None else "POST", url, data=form, headers=headers, ssl=self._tls, allow_redirects=False
        ) as response:
            try:
                if response.status != 200:
                    raise refusal(response.status, self._authorization.hide(await read_start(response)))
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise QueryFailed(Reason.BAD_RESPONSE, texts.COMPRESSED)
                return await read_body(response, self._limit if limit is None else min(limit, self._limit), take)
            except QueryFailed:
                # What has not been read may never end, so the connection goes with it.
                if not response.content.at_eof():
                    response.close()
                raise

    def _envelope(self, body: Buffer) -> Reply:
        try:
            reply = read_reply(body)
        except UNREADABLE as error:
            raise unreadable(error) from None
        if reply.status == "error":
            raise error_of(read_reply(self._authorization.hide(bytes(body))), 200)
        if reply.status != "success":
            raise QueryFailed(Reason.BAD_RESPONSE, texts.WRONG_SHAPE, why="its status is neither success nor error")
        return reply


class Endpoints:
    """Every configured datasource, over one session."""

    def __init__(self, by_name: dict[str, Endpoint], default: str) -> None:
        self.by_name = by_name
        self.default = default

    def find(self, name: str | None) -> Endpoint | None:
        """The datasource of that name, or the default one; ``None`` where there is none."""
        return self.by_name.get(self.default if name is None else name)


@asynccontextmanager
async def open_endpoints(context: PluginContext, settings: MetricSettings) -> AsyncIterator[Endpoints]:
    """Make every datasource ready, and close the connections at the end. Connects to nothing yet.

    Raises ``OSError`` for a certificate file that cannot be read.
    """
    import aiohttp  # late: half a second and 38 MB

    sources = settings.named()
    tls = {name: await asyncio.to_thread(tls_context, source, context.tls) for name, source in sources.items()}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),  # each datasource has its own bound
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_OWN_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=10),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=256 * 1024,
    ) as session:
        large = asyncio.Lock()
        yield Endpoints(
            {
                name: Endpoint(
                    name,
                    source,
                    session,
                    tls=tls[name],
                    limit=context.limits.answer,
                    connections=settings.max_connections,
                    large=large,
                )
                for name, source in sources.items()
            },
            settings.default(),
        )


async def _take(turn: Turn, clock: asyncio.Timeout, latest: float) -> None:
    """Wait for the turn while the clock stands still, though not beyond ``latest``."""
    if turn.taken:
        return
    loop = asyncio.get_running_loop()
    left = (clock.when() or latest) - loop.time()
    clock.reschedule(latest)
    await turn.take()
    clock.reschedule(min(latest, loop.time() + left))


def _why(error: Exception) -> str:
    """A short cause: the system's own words where there are any, never the address."""
    inner = getattr(error, "os_error", error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {inner.verify_message}"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(error).__name__
