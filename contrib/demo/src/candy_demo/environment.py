"""The servers and the agent that the demo starts and stops."""

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
HEARTBEAT_SECONDS: Final = 2
"""Short enough for several heartbeats during the demo."""


@frozen(kw_only=True)
class Environment:
    """Everything that runs. ``key`` is the agent's API key, generated for this run.

    ``victoriametrics`` is ``None`` without the plugin ``victoriametrics``.
    """

    node: NodeExporter
    prometheus: Prometheus
    victoriametrics: VictoriaMetrics | None
    server: CandyServer
    agent: AgentProcess
    key: str


@asynccontextmanager
async def start_environment(report: Callable[[str], None]) -> AsyncIterator[Environment]:
    """Start everything, and stop it in reverse order. ``report`` is called with the name of each step."""
    key, server_key, secret = (secrets.token_urlsafe(18) for _ in range(3))
    async with AsyncExitStack() as stack:
        report("node exporter")
        node = await stack.enter_async_context(NodeExporter())
        report("Prometheus")
        prometheus = await stack.enter_async_context(Prometheus(scrape={"node": [node.address]}))
        victoriametrics = None
        if importlib.metadata.entry_points(group="candy", name="victoriametrics"):
            report("VictoriaMetrics")
            victoriametrics = await stack.enter_async_context(VictoriaMetrics(scrape={"node": [node.address]}))
        report("Candy-Server's stand-in")
        server = await stack.enter_async_context(CandyServer(key=server_key, secret=secret, agent_key=key))
        report("the agent")
        env = {
            "AGENT_ID": AGENT_ID,
            "CANDY_API_KEY": key,
            "CANDY_CLUSTER_NAME": "demo-cluster",
            "CANDY_CALLBACK_SECRET": secret,
            "CANDY_PROMETHEUS_URL": prometheus.url,
            "CANDY_SERVER_API_KEY": server_key,
            "CANDY_SERVER_URL": server.url,
            "HEARTBEAT_INTERVAL": str(HEARTBEAT_SECONDS),
        }
        if victoriametrics is not None:
            env["CANDY_VICTORIAMETRICS_URL"] = victoriametrics.url
        agent = _Reachable(env=env)
        await stack.enter_async_context(agent)
        report("two samples of each series")
        await asyncio.to_thread(prometheus.wait_until, "irate(node_cpu_seconds_total[5m])")
        if victoriametrics is not None:
            await asyncio.to_thread(victoriametrics.wait_until, "node_memory_MemTotal_bytes")
        yield Environment(
            node=node, prometheus=prometheus, victoriametrics=victoriametrics, server=server, agent=agent, key=key
        )


class _Reachable(AgentProcess):
    """The agent, with the loopback address that it sends to Candy-Server."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"CANDY_AGENT_ENDPOINT": self.url}
