"""Tells Candy-Server that the agent lives, and how it is (contract section 4, "Heartbeat")."""

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
from candy_core.heartbeat.cluster_figures import ClusterFigures, HostedProbe
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
"""More bytes than this of an answer are not read."""
LONGEST_PAUSE = 120.0
"""The longest wait after failures, in seconds, unless the interval itself is longer."""
JITTER = 0.1
NOT_YET = "no heartbeat has been answered yet"
_SEND_SECONDS = 10.0
_COUNT_SECONDS = 2.0


@frozen(kw_only=True)
class Vitals:
    """Where a beat's contents are looked up, anew for each beat.

    ``stalled`` says why checks have stopped, or ``None``; ``listen`` where the agent really listens; ``agent_key`` is
    the agent's own key if it made that itself, else ``None``; ``probes`` are in the order of their rank.
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
    """Seconds from one beat to the next: the interval, doubled with each failure in a row, ± 10 %."""
    jitter = (1 - JITTER, 1 + JITTER)
    return Backoff(first=interval, longest=max(interval, LONGEST_PAUSE), jitter=jitter, uniform=uniform).delay(failures)


async def wait_for(changed: asyncio.Event, seconds: float) -> bool:
    """Wait until something has changed, for at most ``seconds``; whether it has."""
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return False
    return True


class HeartbeatService:
    """Beats at once and then at every interval. A Candy-Server that is missing never stops the agent.

    ``credential`` looks secrets up by name (``server``), ``tls`` makes the context for outgoing connections.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        runtime: RuntimeConfig,
        vitals: Vitals,
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
        self._vitals = vitals
        self._credential = credential
        self._metrics = metrics
        self._logger = logger
        self._tls = tls
        self._uniform = uniform
        self._wait = wait
        self._monotonic = monotonic
        self._started = monotonic() if started is None else started
        self._figures = ClusterFigures(vitals.probes, logger=logger)
        self._address = OwnAddress(settings.server_url, environ)
        self._instance_id = uuid.uuid4().hex
        self._sequence = 0
        self._failures = 0
        self._running = False
        self._trouble: str | None = NOT_YET
        self._rejected: Json = None
        self._one_at_a_time = asyncio.Lock()
        self._client: HttpClient | None = None
        self._open = AsyncExitStack()

    @property
    def trouble(self) -> str | None:
        """Why the last beat did not arrive; ``None`` where it did, :data:`NOT_YET` before the first."""
        return self._trouble

    async def run(self) -> None:
        """Beat until cancelled; without a Candy-Server there is nothing to do, and this returns."""
        if self._settings.server_url is None:
            return
        changed = asyncio.Event()
        unsubscribe = self._runtime.subscribe(lambda _: changed.set())
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._figures.run(), name="cluster-figures")
                await self._beat_for_ever(changed)
        finally:
            self._running = False
            unsubscribe()
            await self._close()

    async def send_now(self) -> Heartbeat:
        """Send a beat now, and give it. Raises :class:`BackendUnavailable` where it does not arrive."""
        if self._settings.server_url is None:
            raise BackendUnavailable("there is no Candy-Server to send a heartbeat to: set CANDY_SERVER_URL")
        try:
            beat, trouble = await self._beat()
        finally:
            if not self._running:
                await self._close()
        if trouble is not None:
            raise BackendUnavailable(f"the heartbeat did not arrive: {trouble}")
        return beat

    async def build(self) -> Heartbeat:
        """The next beat. Its key is in it only where contract section 1 lets it go to Candy-Server."""
        vitals = self._vitals
        counts = await self._counts()
        scheme = "https" if self._settings.tls else "http"
        self._sequence += 1
        return Heartbeat(
            agent_id=self._settings.agent_id,
            status=self._status(counts),
            version=__version__,
            cluster_info=self._figures.info(self._settings.cluster_name),
            timestamp=datetime.now(UTC),
            agent_endpoint=self._settings.agent_endpoint or await self._address.endpoint(vitals.listen(), scheme),
            api_key=self._key_to_hand_over(),
            instance_id=self._instance_id,
            sequence=self._sequence,
            uptime=int(self._monotonic() - self._started),
            plugins=tuple(vitals.plugins()),
            executors=tuple(vitals.executors()),
            queue=None
            if counts is None
            else QueueBrief(
                pending=counts.pending, running=counts.running, capacity=counts.capacity, deliveries=counts.waiting
            ),
        )

    async def _beat_for_ever(self, changed: asyncio.Event) -> None:
        while True:
            began = self._monotonic()
            try:
                await self._beat()
            except Exception:
                self._logger.exception("heartbeat_failed")
                self._note("it could not be made")
            while True:  # a new interval counts from the last beat
                changed.clear()
                pause = pause_after(self._runtime.current.heartbeat_interval, self._failures, self._uniform)
                if not await self._wait(changed, max(0.0, began + pause - self._monotonic())):
                    break

    async def _beat(self) -> tuple[Heartbeat, str | None]:
        """One beat sent, and what went wrong."""
        async with self._one_at_a_time:
            beat = await self.build()
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    trouble, answer = await self._post(beat)
            except TimeoutError:
                trouble, answer = f"no answer within {_SEND_SECONDS:g} s", b""
            self._note(trouble)
        if trouble is None:
            self._apply(answer)
        return beat, trouble

    async def _post(self, beat: Heartbeat) -> tuple[str | None, bytes | bytearray]:
        """What went wrong, or ``None``, and the answer's body."""
        import aiohttp

        if self._client is None:
            tls = await asyncio.to_thread(self._tls)  # reads the system's certificates
            self._client = await self._open.enter_async_context(http_client(limit=MAX_ANSWER, connections=2, tls=tls))
        body = to_json(beat, drop_none=True)
        if beat.api_key is not None:
            body = {**body, "api_key": beat.api_key.reveal()}  # type: ignore[dict-item]  # a record is an object
        headers = {"Content-Type": "application/json"}
        url = f"{self._settings.server_url}/api/v1/heartbeat/{self._settings.agent_id}"
        with suppress(NotFound):  # a Candy-Server may ask for none
            headers["X-API-Key"] = (await self._credential("server")).reveal()
        try:
            async with self._client.request("POST", url, data=dumps(body), headers=headers) as response:
                if not 200 <= response.status < 300:
                    return f"Candy-Server answered {response.status}", b""
                with suppress(AnswerTooLarge):  # nothing of it is read
                    return None, await self._client.read(response)
                return None, b""
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return network_cause(error), b""

    def _note(self, trouble: str | None) -> None:
        self._metrics.heartbeats.labels("failed" if trouble else "ok").inc()
        if trouble is None:
            if self._failures:
                self._logger.info("heartbeats_arrive_again", failed=self._failures)
            self._failures = 0
        else:
            self._failures += 1
            write = self._logger.warning if trouble != self._trouble else self._logger.debug
            write("heartbeat_undelivered", why=trouble, failures=self._failures)
        self._trouble = trouble

    def _apply(self, answer: bytes | bytearray) -> None:
        """Take the configuration that an answer carries, if it carries one; nothing in it can do harm."""
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
            self._logger.warning("configuration_refused", why=str(error))

    async def _counts(self) -> StoreCounts | None:
        try:
            async with asyncio.timeout(_COUNT_SECONDS):
                return await self._vitals.counts()
        except Exception:
            self._logger.exception("store_counts_failed")
            return None

    def _status(self, counts: StoreCounts | None) -> AgentStatus:
        if counts is None or self._vitals.stalled() is not None or tuple(self._vitals.required_down()):
            return AgentStatus.ERROR
        return AgentStatus.BUSY if counts.pending > self._settings.busy_above else AgentStatus.RUNNING

    def _key_to_hand_over(self) -> Secret | None:
        return self._vitals.agent_key() if hands_over_key(self._settings) else None

    async def _close(self) -> None:
        self._client = None
        await self._open.aclose()
