"""Sends heartbeats to Candy-Server (contract section 4)."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime

from attrs import field, frozen

from candy_core.backoff import Backoff
from candy_core.codec import dumps, loads, to_json
from candy_core.config.runtime import RuntimeConfig
from candy_core.config.settings import Address, Settings
from candy_core.errors import BackendUnavailable, CandyError, NotFound
from candy_core.heartbeat.cluster_info import ClusterInfoReader, HostedProbe
from candy_core.heartbeat.key_handover import hands_over_key
from candy_core.heartbeat.own_address import OwnAddress
from candy_core.http_client import AnswerTooLarge, HttpClient, http_client, network_cause
from candy_core.metrics import Metrics
from candy_core.model.heartbeat import AgentStatus, Heartbeat, PluginBrief, QueueBrief
from candy_core.model.secret import Secret
from candy_core.model.task import Json
from candy_core.ports.context import Logger
from candy_core.ports.task_store import StoreCounts
from candy_core.version import __version__

MAX_ANSWER = 64 * 1024
"""A longer answer is ignored. In bytes."""
LONGEST_PAUSE = 120.0
"""The longest pause after failures, in seconds, unless the interval itself is longer."""
JITTER = 0.1
KEEP_ALIVE = 15.0
"""How long an idle connection is kept: less than the usual interval. One to a server that has moved loses a heartbeat,
which is not sent again. In seconds."""
NO_ANSWER_YET = "no heartbeat has been answered yet"
_SEND_TIMEOUT = 10.0
_COUNT_TIMEOUT = 2.0


@frozen(kw_only=True)
class HeartbeatSources:
    """Where a heartbeat's contents come from. Each is read again for every heartbeat.

    ``stalled`` gives the reason why no items are being run, or ``None``; ``listen`` the address that the agent listens
    on; ``agent_key`` the key that the agent has generated, or ``None``. ``probes`` are in order of precedence.
    """

    counts: Callable[[], Awaitable[StoreCounts]]
    stalled: Callable[[], str | None]
    plugins: Callable[[], Iterable[PluginBrief]]
    required_down: Callable[[], Iterable[str]]
    executors: Callable[[], Iterable[str]]
    listen: Callable[[], Address]
    agent_key: Callable[[], Secret | None]
    probes: Mapping[str, HostedProbe] = field(factory=dict)


def pause_after(interval: float, failures: int, uniform: Callable[[float, float], float]) -> float:
    """Seconds from one heartbeat to the next: the interval, doubled with each consecutive failure, ± 10 %."""
    jitter = (1 - JITTER, 1 + JITTER)
    return Backoff(first=interval, longest=max(interval, LONGEST_PAUSE), jitter=jitter, uniform=uniform).delay(failures)


async def wait_for(changed: asyncio.Event, seconds: float) -> bool:
    """Wait for ``changed``, at most ``seconds``. Returns whether it was set."""
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return False
    return True


class HeartbeatService:
    """Sends the first heartbeat at once and then one per interval. An unreachable Candy-Server never stops the agent.

    ``credential`` looks up secrets by name (``server``), ``tls`` creates the context for outgoing connections.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        runtime: RuntimeConfig,
        sources: HeartbeatSources,
        credential: Callable[[str], Awaitable[Secret]],
        metrics: Metrics,
        logger: Logger,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        environ: Mapping[str, str] = os.environ,
        started: float | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
        wait: Callable[[asyncio.Event, float], Awaitable[bool]] = wait_for,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._sources = sources
        self._credential = credential
        self._metrics = metrics
        self._logger = logger
        self._tls = tls
        self._uniform = uniform
        self._wait = wait
        self._monotonic = monotonic
        self._started = monotonic() if started is None else started
        self._cluster_info = ClusterInfoReader(sources.probes, logger=logger)
        self._address = OwnAddress(settings.server_url, environ)
        self._instance_id = uuid.uuid4().hex
        self._sequence = 0
        self._failures = 0
        self._running = False
        self._last_error: str | None = NO_ANSWER_YET
        self._rejected: Json = None
        self._send_lock = asyncio.Lock()
        self._client: HttpClient | None = None
        self._open = AsyncExitStack()

    @property
    def last_error(self) -> str | None:
        """Why the last heartbeat failed; ``None`` if it did not, :data:`NO_ANSWER_YET` before the first."""
        return self._last_error

    async def run(self) -> None:
        """Send heartbeats until canceled. Returns at once if no Candy-Server is configured."""
        if self._settings.server_url is None:
            return
        changed = asyncio.Event()
        unsubscribe = self._runtime.subscribe(lambda _: changed.set())
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._cluster_info.run(), name="cluster-info")
                await self._send_loop(changed)
        finally:
            self._running = False
            unsubscribe()
            await self._close()

    async def send_now(self) -> Heartbeat:
        """Send a heartbeat now and return it. Raises :class:`BackendUnavailable` if that fails."""
        if self._settings.server_url is None:
            raise BackendUnavailable("no Candy-Server is configured for heartbeats: set CANDY_SERVER_URL")
        try:
            heartbeat, error = await self._send()
        finally:
            if not self._running:
                await self._close()
        if error is not None:
            raise BackendUnavailable(f"the heartbeat was not delivered: {error}")
        return heartbeat

    async def build(self) -> Heartbeat:
        """The next heartbeat. It carries the agent's key only where contract section 1 allows it."""
        sources = self._sources
        counts = await self._counts()
        scheme = "https" if self._settings.tls else "http"
        self._sequence += 1
        return Heartbeat(
            agent_id=self._settings.agent_id,
            status=self._status(counts),
            version=__version__,
            cluster_info=self._cluster_info.info(self._settings.cluster_name),
            timestamp=datetime.now(UTC),
            agent_endpoint=self._settings.agent_endpoint or await self._address.endpoint(sources.listen(), scheme),
            api_key=self._key_to_send(),
            instance_id=self._instance_id,
            sequence=self._sequence,
            uptime=int(self._monotonic() - self._started),
            plugins=tuple(sources.plugins()),
            executors=tuple(sources.executors()),
            queue=None
            if counts is None
            else QueueBrief(
                pending=counts.pending, running=counts.running, capacity=counts.capacity, deliveries=counts.waiting
            ),
        )

    async def _send_loop(self, changed: asyncio.Event) -> None:
        while True:
            began = self._monotonic()
            try:
                await self._send()
            except Exception:
                self._logger.exception("heartbeat_failed")
                self._record_result("it could not be created")
            while True:  # a new interval counts from the last heartbeat
                changed.clear()
                pause = pause_after(self._runtime.current.heartbeat_interval, self._failures, self._uniform)
                if not await self._wait(changed, max(0.0, began + pause - self._monotonic())):
                    break

    async def _send(self) -> tuple[Heartbeat, str | None]:
        """Send one heartbeat. Returns it, and the error if there was one."""
        async with self._send_lock:
            heartbeat = await self.build()
            try:
                async with asyncio.timeout(_SEND_TIMEOUT):
                    error, answer = await self._post(heartbeat)
            except TimeoutError:
                error, answer = f"no answer within {_SEND_TIMEOUT:g} s", b""
            self._record_result(error)
        if error is None:
            self._apply(answer)
        return heartbeat, error

    async def _post(self, heartbeat: Heartbeat) -> tuple[str | None, bytes | bytearray]:
        """The error or ``None``, and the answer's body."""
        import aiohttp

        if self._client is None:
            tls = await asyncio.to_thread(self._tls)  # reads the system's certificates
            client = http_client(limit=MAX_ANSWER, connections=2, keep_alive=KEEP_ALIVE, tls=tls)
            self._client = await self._open.enter_async_context(client)
        body = to_json(heartbeat, drop_none=True)
        if heartbeat.api_key is not None:
            body = {**body, "api_key": heartbeat.api_key.reveal()}  # type: ignore[dict-item]  # a record is an object
        headers = {"Content-Type": "application/json"}
        url = f"{self._settings.server_url}/api/v1/heartbeat/{self._settings.agent_id}"
        with suppress(NotFound):  # Candy-Server may need no key
            headers["X-API-Key"] = (await self._credential("server")).reveal()
        try:
            async with self._client.request("POST", url, data=dumps(body), headers=headers) as response:
                if not 200 <= response.status < 300:
                    return f"Candy-Server answered {response.status}", b""
                with suppress(AnswerTooLarge):  # a longer answer is ignored
                    return None, await self._client.read(response)
                return None, b""
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return network_cause(error), b""

    def _record_result(self, error: str | None) -> None:
        self._metrics.heartbeats.labels("failed" if error else "ok").inc()
        if error is None:
            if self._failures:
                self._logger.info("heartbeat_recovered", failures=self._failures)
            self._failures = 0
        else:
            self._failures += 1
            write = self._logger.warning if error != self._last_error else self._logger.debug
            write("heartbeat_undelivered", why=error, failures=self._failures)
        self._last_error = error

    def _apply(self, answer: bytes | bytearray) -> None:
        """Apply the configuration in an answer, if there is one. An answer that cannot be used is ignored."""
        try:
            value = loads(bytes(answer)) if answer.strip() else None
        except CandyError as error:
            self._logger.debug("heartbeat_answer_not_json", why=str(error))
            return
        config = value.get("config") if isinstance(value, Mapping) else None
        if config is None or config == self._rejected:
            return
        try:
            self._runtime.apply(config)
            self._rejected = None
        except CandyError as error:
            self._rejected = config
            self._logger.warning("configuration_rejected", why=str(error))

    async def _counts(self) -> StoreCounts | None:
        try:
            async with asyncio.timeout(_COUNT_TIMEOUT):
                return await self._sources.counts()
        except Exception:
            self._logger.exception("store_counts_failed")
            return None

    def _status(self, counts: StoreCounts | None) -> AgentStatus:
        if counts is None or self._sources.stalled() is not None or tuple(self._sources.required_down()):
            return AgentStatus.ERROR
        return AgentStatus.BUSY if counts.pending > self._settings.busy_above else AgentStatus.RUNNING

    def _key_to_send(self) -> Secret | None:
        return self._sources.agent_key() if hands_over_key(self._settings) else None

    async def _close(self) -> None:
        self._client = None
        await self._open.aclose()
