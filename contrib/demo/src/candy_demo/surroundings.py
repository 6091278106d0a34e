"""What the demo starts and stops."""

from __future__ import annotations

import asyncio
import importlib.metadata
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from attrs import frozen

from candy_server import CandyServer
from candy_testbed import AgentProcess, NodeExporter, Prometheus, VictoriaMetrics

AGENT_ID: Final = "demo-agent"
HEARTBEAT: Final = 2
"""Seconds between two heartbeats: some are wanted within the demo."""


@frozen(kw_only=True)
class Surroundings:
    """Everything that runs. ``key`` is the agent's API key, made for this run.

    ``victoriametrics`` is there where the plugin that asks it is installed.
    """

    node: NodeExporter
    prometheus: Prometheus
    victoriametrics: VictoriaMetrics | None
    server: CandyServer
    agent: AgentProcess
    key: str


@asynccontextmanager
async def surroundings(say: Callable[[str], None]) -> AsyncIterator[Surroundings]:
    """Start all of it, and stop it in reverse. ``say`` is told what is going on, in a few words."""
    key, server_key, secret = (secrets.token_urlsafe(18) for _ in range(3))
    async with AsyncExitStack() as stack:
        say("node exporter")
        node = await stack.enter_async_context(NodeExporter())
        say("Prometheus")
        prometheus = await stack.enter_async_context(Prometheus(scrape={"node": [node.address]}))
        victoriametrics = None
        if importlib.metadata.entry_points(group="candy", name="victoriametrics"):
            say("VictoriaMetrics")
            victoriametrics = await stack.enter_async_context(VictoriaMetrics(scrape={"node": [node.address]}))
        say("Candy-Server's stand-in")
        server = await stack.enter_async_context(CandyServer(key=server_key, secret=secret, agent_key=key))
        say("the agent")
        env = {
            "AGENT_ID": AGENT_ID,
            "CANDY_API_KEY": key,
            "CANDY_CLUSTER_NAME": "demo-cluster",
            "CANDY_CALLBACK_SECRET": secret,
            "CANDY_PROMETHEUS_URL": prometheus.url,
            "CANDY_SERVER_API_KEY": server_key,
            "CANDY_SERVER_URL": server.url,
            "HEARTBEAT_INTERVAL": str(HEARTBEAT),
        }
        if victoriametrics is not None:
            env["CANDY_VICTORIAMETRICS_URL"] = victoriametrics.url
        agent = _Reachable(env=env)
        await stack.enter_async_context(agent)
        say("two samples of every series")
        await asyncio.to_thread(prometheus.wait_until, "irate(node_cpu_seconds_total[5m])")
        if victoriametrics is not None:
            await asyncio.to_thread(victoriametrics.wait_until, "node_memory_MemTotal_bytes")
        yield Surroundings(
            node=node, prometheus=prometheus, victoriametrics=victoriametrics, server=server, agent=agent, key=key
        )


class _Reachable(AgentProcess):
    """The agent, which tells Candy-Server the address at which it can be reached here."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"CANDY_AGENT_ENDPOINT": self.url}
