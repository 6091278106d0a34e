"""A task of different queries to VictoriaMetrics, against a bare client of the same server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from candy_bench.agent_client import metric_items
from candy_bench.bare_client import BareClient
from candy_bench.environment import Environment
from candy_bench.findings import Bound, Finding, Goal
from candy_bench.metric_queries import METRIC, different, unbatchable
from candy_bench.queries import CONCURRENCIES, ITEMS
from candy_bench.rounds import Contestant, Spread, in_turn
from candy_testbed import NodeExporter, VictoriaMetrics

KIND = "victoriaMetrics"


async def measure(environment: Environment) -> Sequence[Finding]:
    """Queries that the agent batches, and queries that it cannot batch."""
    async with NodeExporter() as node, VictoriaMetrics(scrape={"node": [node.address]}) as server:
        await asyncio.to_thread(server.wait_until, METRIC)
        usual = BareClient(server.url, environment.session, compressed=True, form=server.query_params)
        usual_at = await usual.best_concurrency(CONCURRENCIES, ITEMS // 4)
        bare = BareClient(server.url, environment.session, compressed=False, form=server.query_params)
        at = await bare.best_concurrency(CONCURRENCIES, ITEMS // 2)
        items, alone = metric_items(different(ITEMS), KIND), metric_items(unbatchable(ITEMS), KIND)
        async with environment.agent({"CANDY_VICTORIAMETRICS_URL": server.url}) as (_, agent):
            await agent.run([items])
            contestants: dict[str, Contestant] = {
                "agent": lambda: agent.run([items]),
                "agent alone": lambda: agent.run([alone]),
                "usual": lambda: usual.ask(different(ITEMS), usual_at),
                "bare": lambda: bare.ask(different(ITEMS), at),
                "bare alone": lambda: bare.ask(unbatchable(ITEMS), at),
            }
            times = await in_turn(contestants, environment.rounds, environment.step)

    def row(name: str, label: str, goal: float, mine: str = "agent") -> Finding:
        theirs, ours = times[name], times[mine]
        return Finding(
            label=label,
            figure=Spread.of_ratios(theirs, ours),
            goal=Goal(bound=Bound.AT_LEAST, value=goal),
            unit=" ×",
            note=f"{Spread.of(theirs).median * 1000:.2f} ms a query, the agent {Spread.of(ours).median * 1000:.2f}",
        )

    return [
        row("usual", f"VictoriaMetrics, {ITEMS} queries: speed of a bare aiohttp client, {usual_at} at a time", 3),
        row("bare", f"speed of the same, {at} at a time, answers uncompressed as for the agent", 3),
        row("bare alone", "the same with queries that the agent cannot batch", 0.9, "agent alone"),
    ]
