"""The server: routes for agents, and routes for developers."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import attrs
from aiohttp import ClientError, ClientSession, ClientTimeout, web

from candy_server.received import CallbackReceived, HeartbeatReceived, Inbox
from candy_server.signature import Signature, verify

MASK = "***"


@attrs.define(kw_only=True)
class Agent:
    """A known agent: its address, its key if a heartbeat had one, and the config for its next heartbeat."""

    endpoint: str = ""
    key: str = attrs.field(default="", repr=False)
    config: dict[str, Any] | None = None


@attrs.define(kw_only=True)
class Failure:
    """The response that the next requests get instead of the normal one."""

    status: int
    times: int
    retry_after: str | None = None


class CandyServer:
    """A stand-in for Candy-Server; it listens while its async context is open.

    ``key`` is the ``X-API-Key`` that agents send (their ``CANDY_SERVER_API_KEY``). ``secret`` signs callbacks (their
    ``CANDY_CALLBACK_SECRET``); it defaults to ``key``, and without both to the agent's own key from its heartbeat.
    ``agent_key`` is the key of agents whose heartbeat has none. Port 0 is a free port.
    """

    def __init__(
        self,
        *,
        key: str = "",
        secret: str = "",
        agent_key: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.inbox = Inbox()
        self.agents: dict[str, Agent] = {}
        self.key = key
        self._secret = secret or key
        self._agent_key = agent_key
        self._host = host
        self._port = port
        self._failures: dict[str, Failure] = {}
        self._seen: set[str] = set()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The base URL: the agent's ``CANDY_SERVER_URL``."""
        return f"http://{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self.application(), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes(
            [
                web.post("/api/v1/heartbeat/{agent_id}", self._heartbeat),
                web.post("/api/v1/results/{task_id}", self._callback),
                web.get("/agents", self._list_agents),
                web.post("/agents/{agent_id}/tasks", self._send_task),
                web.put("/agents/{agent_id}/config", self._configure),
                web.get("/received/heartbeats", self._heartbeats),
                web.get("/received/callbacks", self._callbacks),
                web.delete("/received", self._clear),
                web.post("/failures", self._fail),
            ]
        )
        return app

    async def heartbeat(self, agent_id: str, *, timeout: float = 60.0, status: str | None = None) -> HeartbeatReceived:
        """Wait for a heartbeat of the agent, with that ``status`` if one is given. Raises TimeoutError."""

        def matches(entry: HeartbeatReceived) -> bool:
            return entry.agent_id == agent_id and status in (None, entry.body.get("status"))

        return await self.inbox.first(
            lambda: self.inbox.heartbeats, matches, timeout=timeout, what=f"heartbeat of {agent_id}"
        )

    async def callback(self, task_id: str, *, timeout: float = 60.0, event: str = "ended") -> CallbackReceived:
        """Wait for an accepted callback of the task. Raises TimeoutError."""

        def matches(entry: CallbackReceived) -> bool:
            return entry.task_id == task_id and entry.event == event and entry.accepted

        return await self.inbox.first(
            lambda: self.inbox.callbacks, matches, timeout=timeout, what=f"callback of task {task_id}"
        )

    def fail(self, what: str, status: int, *, times: int = 1, retry_after: float | None = None) -> None:
        """Respond to the next ``times`` requests with ``status``; ``what`` is ``callbacks`` or ``heartbeats``."""
        after = None if retry_after is None else f"{retry_after:g}"
        self._failures[what] = Failure(status=status, times=times, retry_after=after)

    def _planned_failure(self, what: str) -> web.Response | None:
        failure = self._failures.get(what)
        if failure is None or failure.times <= 0:
            return None
        failure.times -= 1
        headers = {} if failure.retry_after is None else {"Retry-After": failure.retry_after}
        return web.json_response({"error": "requested failure"}, status=failure.status, headers=headers)

    def _check_key(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("X-API-Key", "")
        if self.key and not hmac.compare_digest(given.encode(), self.key.encode()):
            return web.json_response({"error": "X-API-Key is missing or wrong"}, status=401)
        return None

    async def _heartbeat(self, request: web.Request) -> web.Response:
        agent_id = request.match_info["agent_id"]
        body = await _object(request)
        if (failure := self._check_key(request) or self._planned_failure("heartbeats")) is not None:
            return failure
        agent = self.agents.setdefault(agent_id, Agent())
        agent.endpoint = str(body.get("agent_endpoint") or agent.endpoint)
        agent.key = str(body.get("api_key") or agent.key or self._agent_key)
        shown = body | ({"api_key": MASK} if body.get("api_key") else {})
        await self.inbox.add(HeartbeatReceived(at=_now(), agent_id=agent_id, body=shown))
        config, agent.config = agent.config, None
        return web.json_response({} if config is None else {"config": config})

    async def _callback(self, request: web.Request) -> web.Response:
        raw = await request.read()
        key = request.headers.get("Idempotency-Key", "")
        signature = self._verify(request, raw)
        response = self._check_key(request) or self._planned_failure("callbacks")
        if response is None and signature is not Signature.VERIFIED:
            response = web.json_response({"error": f"signature: {signature}"}, status=401)
        duplicate = bool(key) and key in self._seen
        if response is None:
            self._seen.add(key)
            response = web.json_response({"received": True, "duplicate": duplicate})
        await self.inbox.add(
            CallbackReceived(
                at=_now(),
                task_id=request.match_info["task_id"],
                event=request.headers.get("X-Candy-Event", ""),
                idempotency_key=key,
                signature=signature,
                duplicate=duplicate,
                status=response.status,
                body=await _object(request),
            )
        )
        return response

    def _verify(self, request: web.Request, raw: bytes) -> Signature:
        secrets: Iterable[str] = [self._secret] if self._secret else [agent.key for agent in self.agents.values()]
        found = Signature.MISSING
        for secret in secrets:
            found = verify(
                secret,
                timestamp=request.headers.get("X-Candy-Timestamp"),
                signature=request.headers.get("X-Candy-Signature"),
                body=raw,
                now=time.time(),
            )
            if found is not Signature.WRONG:
                break
        return found

    async def _list_agents(self, request: web.Request) -> web.Response:
        agents = [{"agent_id": name, "endpoint": agent.endpoint} for name, agent in self.agents.items()]
        return web.json_response({"agents": agents})

    async def _send_task(self, request: web.Request) -> web.Response:
        agent = self.agents.get(request.match_info["agent_id"])
        if agent is None or not agent.endpoint:
            return web.json_response({"error": "no heartbeat from that agent yet"}, status=404)
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=30)) as client,
                client.post(
                    f"{agent.endpoint.rstrip('/')}/api/v1/task",
                    data=await request.read(),
                    headers={"X-API-Key": agent.key, "Content-Type": "application/json"},
                    allow_redirects=False,  # a redirect would carry the key elsewhere
                ) as response,
            ):
                return web.Response(
                    body=await response.read(), status=response.status, content_type=response.content_type
                )
        except (ClientError, TimeoutError) as error:
            return web.json_response({"error": f"the agent at {agent.endpoint}: {error}"}, status=502)

    async def _configure(self, request: web.Request) -> web.Response:
        config = await _object(request)
        self.agents.setdefault(request.match_info["agent_id"], Agent(key=self._agent_key)).config = config
        return web.json_response({"config": config})

    async def _heartbeats(self, request: web.Request) -> web.Response:
        agent_id = request.query.get("agent_id")
        found = [attrs.asdict(entry) for entry in self.inbox.heartbeats if agent_id in (None, entry.agent_id)]
        return web.json_response({"heartbeats": found})

    async def _callbacks(self, request: web.Request) -> web.Response:
        task_id = request.query.get("task_id")
        found = [attrs.asdict(entry) for entry in self.inbox.callbacks if task_id in (None, entry.task_id)]
        return web.json_response({"callbacks": found})

    async def _clear(self, request: web.Request) -> web.Response:
        self.inbox.clear()
        return web.json_response({})

    async def _fail(self, request: web.Request) -> web.Response:
        body = await _object(request)
        if body.get("what") not in ("callbacks", "heartbeats") or not isinstance(body.get("status"), int):
            return web.json_response({"error": "what: callbacks or heartbeats; status: a number"}, status=422)
        self.fail(body["what"], body["status"], times=body.get("times", 1), retry_after=body.get("retry_after"))
        return web.json_response({})


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text='{"error":"the body is not a JSON object"}', content_type="application/json")
    return body


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
