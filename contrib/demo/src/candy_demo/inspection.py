"""The inspection: sends the contract's example of a task, waits for it, and verifies what Candy-Server received.

The example is in docs/contract.md#2-request.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import ClientSession, ClientTimeout
from attrs import frozen

from candy_server import CallbackReceived, CandyServer, HeartbeatReceived, Signature

CPU: Final = '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)'
MEMORY: Final = "100 * (1 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes))"
ENDED: Final = frozenset({"completed", "failed", "canceled"})

Json = dict[str, Any]


@frozen(kw_only=True)
class Check:
    """An expectation, whether it is met, and the actual value."""

    label: str
    ok: bool
    found: str = ""


def task(task_id: str, *, with_victoriametrics: bool, chinese: bool) -> Json:
    """The example's task; its second item uses Prometheus if no plugin runs ``victoriaMetrics``.

    Its names and sentences are ``chinese``, as in the example, or English.
    """
    second = "victoriaMetrics" if with_victoriametrics else "prometheus"
    names = ("CPU使用率检查", "内存使用率检查") if chinese else ("CPU usage", "Memory usage")
    return {
        "task_id": task_id,
        "items": [
            {"id": 1, "name": names[0], "type": "prometheus", "params": {"query": CPU, "threshold": "80"}},
            {"id": 2, "name": names[1], "type": second, "params": {"query": MEMORY, "threshold": "90"}},
        ],
        "timeout": 300,
        "locale": "zh_CN" if chinese else "en",
    }


def prefers_chinese(environ: Mapping[str, str]) -> bool:
    """Whether the language of messages is Chinese, by the first POSIX variable that has a value."""
    languages = (environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return next(filter(None, languages), "").startswith("zh")


class AgentClient:
    """A client of the agent's REST API, as Candy-Server would be: an async context manager."""

    def __init__(self, url: str, key: str) -> None:
        self._session = ClientSession(url, headers={"X-API-Key": key}, timeout=ClientTimeout(total=10))

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._session.__aexit__(kind, error, at)

    async def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """The JSON object of the response. Raises RuntimeError with the agent's response for anything but a 2xx."""
        async with self._session.request(method, path, json=body) as response:
            if not response.ok:
                raise RuntimeError(f"{method} {path}: {response.status} {await response.text()}")
            document: Json = await response.json()
            return document

    async def plugins(self) -> list[Json]:
        """The installed plugins and their states."""
        listed: list[Json] = (await self.call("GET", "/api/v1/plugins"))["plugins"]
        return listed

    async def run(self, body: Json, progress: Callable[[int, int], None], timeout: float) -> Json:
        """Send the task, wait for its end, and return the result object. ``progress`` is called with done and total."""
        task_id = (await self.call("POST", "/api/v1/task", body))["task_id"]
        async with asyncio.timeout(timeout):
            while True:
                status = await self.call("GET", f"/api/v1/tasks/{task_id}")
                counts = status.get("progress", {})
                progress(counts.get("done", 0), counts.get("total", len(body["items"])))
                if status["status"] in ENDED:
                    return await self.call("GET", f"/api/v1/results/{task_id}")
                await asyncio.sleep(0.05)


def has_executor(plugins: list[Json], item_type: str) -> bool:
    """Whether an active plugin has an executor for that type."""
    wanted = f"executor:{item_type}".lower()
    return any(
        plugin["state"] == "active" and wanted in [provided.lower() for provided in plugin["provides"]]
        for plugin in plugins
    )


def new_task_id() -> str:
    """A unique task id."""
    return f"demo-{uuid.uuid4().hex[:8]}"


async def wait_for_server(
    server: CandyServer, agent_id: str, task_id: str
) -> tuple[HeartbeatReceived, CallbackReceived]:
    """The first heartbeat with the status ``running``, and the task's callback. TimeoutError says which is missing."""
    heartbeat = await server.heartbeat(agent_id, timeout=10, status="running")
    return heartbeat, await server.callback(task_id, timeout=15)


def verify(result: Json, heartbeat: HeartbeatReceived, callback: CallbackReceived) -> Iterator[Check]:
    """The expectations at the end of the inspection."""
    yield Check(label="the task is completed", ok=result["status"] == "completed", found=result["status"])
    for item in result["results"]:
        number = math.nan
        with contextlib.suppress(ValueError):
            number = float(item["value"])
        yield Check(
            label=f"item {item['item_id']} has a value and a verdict",
            ok=item["status"] in ("normal", "warning", "critical") and 0 <= number <= 100,
            found=f"{item['status']} ({item.get('reason', '')}) {item['message']}",
        )
    yield Check(
        label="Candy-Server received a heartbeat",
        ok=heartbeat.body.get("status") == "running",
        found=f"status {heartbeat.body.get('status')}, version {heartbeat.body.get('version')}",
    )
    yield Check(
        label="Candy-Server received the callback, with a valid signature",
        ok=callback.signature is Signature.VERIFIED,
        found=f"{callback.signature}, Idempotency-Key {callback.idempotency_key}",
    )
    yield Check(
        label="the callback has the same result as the agent's API",
        ok=callback.body == result,
        found="the same" if callback.body == result else "another result",
    )
