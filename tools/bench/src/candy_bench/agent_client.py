"""A client of the agent's REST API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from aiohttp import ClientSession

LOOK = 0.01
"""Seconds between two polls of a task: a poll costs the agent some 0.3 ms."""


def metric_items(queries: Sequence[str], kind: str = "prometheus") -> list[dict[str, Any]]:
    """An item for each query, of the type ``kind``."""
    return [{"id": number, "type": kind, "params": {"query": query}} for number, query in enumerate(queries)]


class AgentClient:
    """Submits tasks to an agent and waits for their results."""

    def __init__(self, url: str, key: str, session: ClientSession) -> None:
        self.key = key
        self._url = url
        self._headers = {"X-API-Key": key, "Content-Type": "application/json"}
        self._session = session

    async def run(self, tasks: Sequence[Sequence[dict[str, Any]]]) -> float:
        """Submit the tasks one after the other and wait for all results; returns seconds per item.

        The time is over when the last result document has been read, and every item in it is ``normal``.
        """
        bodies = [orjson.dumps({"items": items}) for items in tasks]
        began = time.perf_counter()
        ids = [await self._submit(body) for body in bodies]
        documents = [await self._result(task_id) for task_id in ids]
        taken = time.perf_counter() - began
        found = [result["status"] for document in documents for result in orjson.loads(document)["results"]]
        wanted = sum(map(len, tasks))
        if found != ["normal"] * wanted:
            raise RuntimeError(f"{wanted} items should be normal, and {found.count('normal')} are")
        return taken / wanted

    async def submit_aside(self, items: Iterable[dict[str, Any]]) -> None:
        """Submit a task, and do not wait for it."""
        await self._submit(orjson.dumps({"items": list(items)}))

    async def count(self, status: str) -> int:
        """How many tasks have a status, up to 500."""
        url = f"{self._url}/api/v1/tasks?status={status}&limit=500"
        async with self._session.get(url, headers=self._headers) as answer:
            return len((await answer.json())["tasks"])

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Any other request; returns the response."""
        data = orjson.dumps(body)
        async with self._session.post(f"{self._url}{path}", data=data, headers=self._headers) as answer:
            text = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"the agent refused {path}: {answer.status} {text.decode(errors='replace')}")
            found: dict[str, Any] = orjson.loads(text)
            return found

    async def _submit(self, body: bytes) -> str:
        async with self._session.post(f"{self._url}/api/v1/task", data=body, headers=self._headers) as answer:
            if answer.status != 202:
                raise RuntimeError(f"the agent refused a task: {answer.status} {await answer.text()}")
            task_id: str = orjson.loads(await answer.read())["task_id"]
            return task_id

    async def _result(self, task_id: str) -> bytes:
        while True:
            async with self._session.get(f"{self._url}/api/v1/tasks/{task_id}", headers=self._headers) as answer:
                if orjson.loads(await answer.read())["end_time"]:
                    break
            await asyncio.sleep(LOOK)
        async with self._session.get(f"{self._url}/api/v1/results/{task_id}", headers=self._headers) as answer:
            return await answer.read()
