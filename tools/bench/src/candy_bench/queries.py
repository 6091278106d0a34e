"""A task of different queries, against others that ask the same queries of the same Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from candy_bench.agent_client import metric_items
from candy_bench.bare_client import BareClient
from candy_bench.environment import Environment
from candy_bench.findings import Bound, Finding, Goal
from candy_bench.metric_queries import different, unbatchable
from candy_bench.other_tools import POOL, best_processes, best_threads, library, promtool
from candy_bench.rounds import Contestant, Spread, in_turn

ITEMS = 2_000
CONCURRENCIES = (8, 16, 32, 64)
ONE_BY_ONE = 300
THREADED = 600
PROCESSES = 60
"""Fewer for those that are slower; what is compared is the time for one query."""


async def measure(environment: Environment) -> Sequence[Finding]:
    """The agent's speed as a multiple of each other's."""
    url = environment.prometheus.url
    usual = BareClient(url, environment.session, compressed=True)
    quick = BareClient(url, environment.session, compressed=False)
    usual_at = await usual.best_concurrency(CONCURRENCIES, ITEMS // 4)
    quick_at = await quick.best_concurrency(CONCURRENCIES, ITEMS // 2)
    threads = await best_threads(url, (4, 8, POOL), different(THREADED // 2))
    processes = await best_processes(url, (2, 4, 8), different(PROCESSES // 2))
    items, alone = metric_items(different(ITEMS)), metric_items(unbatchable(ITEMS))
    async with environment.agent({"CANDY_PROMETHEUS_URL": url}) as (_, agent):
        await agent.run([items])  # the first queries open the connections
        contestants: dict[str, Contestant] = {
            "agent": lambda: agent.run([items]),
            "agent alone": lambda: agent.run([alone]),
            "quick alone": lambda: quick.ask(unbatchable(ITEMS), quick_at),
            "usual": lambda: usual.ask(different(ITEMS), usual_at),
            "quick": lambda: quick.ask(different(ITEMS), quick_at),
            "one by one": lambda: asyncio.to_thread(library, url, different(ONE_BY_ONE), 1),
            "threads": lambda: asyncio.to_thread(library, url, different(THREADED), threads),
            "promtool": lambda: promtool(url, different(PROCESSES), processes),
        }
        times = await in_turn(contestants, environment.rounds, environment.step)

    def row(name: str, label: str, goal: float, ours: str = "agent") -> Finding:
        return Finding(
            label=label,
            figure=Spread.of_ratios(times[name], times[ours]),
            goal=Goal(bound=Bound.AT_LEAST, value=goal),
            unit=" ×",
            note=f"{Spread.of(times[name]).median * 1000:.2f} ms a query, "
            f"the agent {Spread.of(times[ours]).median * 1000:.2f}",
        )

    return [
        row("usual", f"{ITEMS} queries: speed of a bare aiohttp client, {usual_at} at a time", 3),
        row("quick", f"speed of the same, {quick_at} at a time, answers uncompressed as for the agent", 3),
        row("quick alone", "the same with queries that the agent cannot batch", 0.9, "agent alone"),
        row("one by one", "speed of prometheus-api-client, one query after the other", 3),
        row("threads", f"speed of prometheus-api-client in {threads} threads", 2),
        row("promtool", f"speed of promtool query instant, {processes} processes at a time", 3),
    ]
