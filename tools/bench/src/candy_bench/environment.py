"""What the measurements share: a real Prometheus with data, and agents as separate processes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import ClientSession
from attrs import frozen

from candy_bench.agent_client import AgentClient
from candy_bench.metric_queries import METRIC
from candy_testbed import AgentProcess, MissingServer, NodeExporter, Prometheus


@frozen(kw_only=True)
class Environment:
    """Prometheus, the shared HTTP session, and the number of rounds; ``step`` is called after each piece of work."""

    _prometheus: Prometheus | MissingServer
    session: ClientSession
    rounds: int
    step: Callable[[], None]

    @property
    def prometheus(self) -> Prometheus:
        """The server. Raises ``MissingServer``."""
        if isinstance(self._prometheus, MissingServer):
            raise self._prometheus
        return self._prometheus

    @asynccontextmanager
    async def agent(self, env: Mapping[str, str] | None = None) -> AsyncIterator[tuple[AgentProcess, AgentClient]]:
        """An agent that runs for as long as the context is held, and a client with its key."""
        key = secrets.token_urlsafe(18)
        async with AgentProcess(env={**(env or {}), "CANDY_API_KEY": key}) as agent:
            yield agent, AgentClient(agent.url, key, self.session)


@asynccontextmanager
async def prometheus() -> AsyncIterator[Prometheus | MissingServer]:
    """A Prometheus that scrapes itself and a node exporter, or which of them is not installed."""
    async with AsyncExitStack() as stack:
        found: Prometheus | MissingServer
        try:
            node = await stack.enter_async_context(NodeExporter())
            found = await stack.enter_async_context(Prometheus(scrape={"node": [node.address]}))
            await asyncio.to_thread(found.wait_until, METRIC)
        except MissingServer as missing:
            found = missing
        yield found
