"""A bare aiohttp client: the simplest code that gets the results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import orjson
from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from candy_bench.metric_queries import different


class BareClient:
    """Asks Prometheus over kept connections: POSTs a form, reads the body, parses its JSON, and that is all.

    ``compressed`` leaves aiohttp's own ``Accept-Encoding`` as it is; without it answers are asked for as they are,
    which is much less work for Prometheus. ``form`` goes with each query.
    """

    def __init__(
        self, url: str, session: ClientSession, *, compressed: bool, form: Mapping[str, str] | None = None
    ) -> None:
        self._url = f"{url}/api/v1/query"
        self._session = session
        self._form = dict(form or {})
        self._headers = {} if compressed else {"Accept-Encoding": "identity"}

    async def ask(self, queries: Sequence[str], concurrency: int) -> float:
        """Run every query, this many at a time; returns seconds per query."""
        waiting = iter(queries)
        now = f"{time.time():.3f}"

        async def work() -> None:
            for query in waiting:
                async with self._session.post(
                    self._url, data={"query": query, "time": now, **self._form}, headers=self._headers
                ) as answer:
                    found = orjson.loads(await answer.read())
                    if not found["data"]["result"]:
                        raise RuntimeError(f"the server has nothing for {query}")

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
        return (time.perf_counter() - began) / len(queries)

    async def best_concurrency(self, choices: Sequence[int], count: int) -> int:
        """The concurrency at which it is fastest on this machine."""
        await self.ask(different(count), choices[0])  # opens connections, warms Prometheus up
        times = {choice: min([await self.ask(different(count), choice) for _ in range(2)]) for choice in choices}
        return min(times, key=times.__getitem__)


def session() -> ClientSession:
    """One that keeps as many connections as anybody uses."""
    return ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar())
