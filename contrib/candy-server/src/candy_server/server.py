"""The server: the routes that an agent calls, and the routes that a developer does."""

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
class Known:
    """An agent that was heard of: where it is, its key if the heartbeat brought one, and config to be handed to it."""

    endpoint: str = ""
    key: str = attrs.field(default="", repr=False)
    config: dict[str, Any] | None = None


@attrs.define(kw_only=True)
class Failure:
    """The answers that some of the next requests get instead of the right one."""

    status: int
    times: int
    retry_after: str | None = None


class CandyServer:
    """A stand-in for Candy-Server, and the async context in which it listens.

    ``key`` is what agents send as ``X-API-Key`` (their ``CANDY_SERVER_API_KEY``); ``secret`` signs callbacks (their
    ``CANDY_CALLBACK_SECRET``), by default ``key``; without both the agent's own key, known from its heartbeat.
    ``agent_key`` is the key for agents that do not tell theirs. Port 0 picks a free one.
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
        self.agents: dict[str, Known] = {}
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
                web.post("/agents/{agent_id}/tasks", self._hand_out),
                web.put("/agents/{agent_id}/config", self._configure),
                web.get("/received/heartbeats", self._heartbeats),
                web.get("/received/callbacks", self._callbacks),
                web.delete("/received", self._forget),
                web.post("/failures", self._fail),
            ]
        )
        return app

    async def heartbeat(self, agent_id: str, *, timeout: float = 60.0, status: str | None = None) -> HeartbeatReceived:
        """Wait for a heartbeat of that agent, with that ``status`` if one is given. Raises TimeoutError."""

        def wanted(entry: HeartbeatReceived) -> bool:
            return entry.agent_id == agent_id and status in (None, entry.body.get("status"))

        return await self.inbox.first(
            lambda: self.inbox.heartbeats, wanted, timeout=timeout, what=f"heartbeat of {agent_id}"
        )

    async def callback(self, task_id: str, *, timeout: float = 60.0, event: str = "ended") -> CallbackReceived:
        """Wait for an accepted callback of that task. Raises TimeoutError."""

        def wanted(entry: CallbackReceived) -> bool:
            return entry.task_id == task_id and entry.event == event and entry.accepted

        return await self.inbox.first(
            lambda: self.inbox.callbacks, wanted, timeout=timeout, what=f"callback of task {task_id}"
        )

    def fail(self, what: str, status: int, *, times: int = 1, retry_after: float | None = None) -> None:
        """Answer the next ``times`` requests with ``status``; ``what`` is ``callbacks`` or ``heartbeats``."""
        after = None if retry_after is None else f"{retry_after:g}"
        self._failures[what] = Failure(status=status, times=times, retry_after=after)

    def _planned_failure(self, what: str) -> web.Response | None:
        failure = self._failures.get(what)
        if failure is None or failure.times <= 0:
            return None
        failure.times -= 1
        headers = {} if failure.retry_after is None else {"Retry-After": failure.retry_after}
        return web.json_response({"error": "as ordered"}, status=failure.status, headers=headers)

    def _refuse(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("X-API-Key", "")
        if self.key and not hmac.compare_digest(given.encode(), self.key.encode()):
            return web.json_response({"error": "X-API-Key is missing or wrong"}, status=401)
        return None

    async def _heartbeat(self, request: web.Request) -> web.Response:
        agent_id = request.match_info["agent_id"]
        body = await _object(request)
        if (answer := self._refuse(request) or self._planned_failure("heartbeats")) is not None:
            return answer
        known = self.agents.setdefault(agent_id, Known())
        known.endpoint = str(body.get("agent_endpoint") or known.endpoint)
        known.key = str(body.get("api_key") or known.key or self._agent_key)
        shown = body | ({"api_key": MASK} if body.get("api_key") else {})
        await self.inbox.add(HeartbeatReceived(at=_now(), agent_id=agent_id, body=shown))
        config, known.config = known.config, None
        return web.json_response({} if config is None else {"config": config})

    async def _callback(self, request: web.Request) -> web.Response:
        raw = await request.read()
        key = request.headers.get("Idempotency-Key", "")
        signature = self._verify(request, raw)
        answer = self._refuse(request) or self._planned_failure("callbacks")
        if answer is None and signature is not Signature.VERIFIED:
            answer = web.json_response({"error": f"signature: {signature}"}, status=401)
        duplicate = bool(key) and key in self._seen
        if answer is None:
            self._seen.add(key)
            answer = web.json_response({"received": True, "duplicate": duplicate})
        await self.inbox.add(
            CallbackReceived(
                at=_now(),
                task_id=request.match_info["task_id"],
                event=request.headers.get("X-Candy-Event", ""),
                idempotency_key=key,
                signature=signature,
                duplicate=duplicate,
                status=answer.status,
                body=await _object(request),
            )
        )
        return answer

    def _verify(self, request: web.Request, raw: bytes) -> Signature:
        secrets: Iterable[str] = [self._secret] if self._secret else [known.key for known in self.agents.values()]
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
        agents = [{"agent_id": name, "endpoint": known.endpoint} for name, known in self.agents.items()]
        return web.json_response({"agents": agents})

    async def _hand_out(self, request: web.Request) -> web.Response:
        known = self.agents.get(request.match_info["agent_id"])
        if known is None or not known.endpoint:
            return web.json_response({"error": "no heartbeat of that agent yet"}, status=404)
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=30)) as client,
                client.post(
                    f"{known.endpoint.rstrip('/')}/api/v1/task",
                    data=await request.read(),
                    headers={"X-API-Key": known.key, "Content-Type": "application/json"},
                    allow_redirects=False,  # a redirect would carry the key elsewhere
                ) as answer,
            ):
                return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)
        except (ClientError, TimeoutError) as error:
            return web.json_response({"error": f"the agent at {known.endpoint}: {error}"}, status=502)

    async def _configure(self, request: web.Request) -> web.Response:
        config = await _object(request)
        self.agents.setdefault(request.match_info["agent_id"], Known(key=self._agent_key)).config = config
        return web.json_response({"config": config})

    async def _heartbeats(self, request: web.Request) -> web.Response:
        agent = request.query.get("agent_id")
        found = [attrs.asdict(entry) for entry in self.inbox.heartbeats if agent in (None, entry.agent_id)]
        return web.json_response({"heartbeats": found})

    async def _callbacks(self, request: web.Request) -> web.Response:
        task = request.query.get("task_id")
        found = [attrs.asdict(entry) for entry in self.inbox.callbacks if task in (None, entry.task_id)]
        return web.json_response({"callbacks": found})

    async def _forget(self, request: web.Request) -> web.Response:
        self.inbox.clear()
        return web.json_response({})

    async def _fail(self, request: web.Request) -> web.Response:
        order = await _object(request)
        if order.get("what") not in ("callbacks", "heartbeats") or not isinstance(order.get("status"), int):
            return web.json_response({"error": "what: callbacks or heartbeats; status: a number"}, status=422)
        self.fail(order["what"], order["status"], times=order.get("times", 1), retry_after=order.get("retry_after"))
        return web.json_response({})


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text='{"error":"the body is no JSON object"}', content_type="application/json")
    return body


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
