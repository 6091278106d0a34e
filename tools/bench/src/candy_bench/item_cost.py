"""What an item costs in a large task, against what it costs in a small one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from candy_bench import spare_plugin
from candy_bench.agent_client import metric_items
from candy_bench.environment import Environment
from candy_bench.findings import Bound, Finding, Goal
from candy_bench.metric_queries import different
from candy_bench.rounds import Spread, in_turn

LARGE = 10_000
SMALL = 100


async def measure(environment: Environment) -> Sequence[Finding]:
    """One task of 10 000 items, against the same items in tasks of 100 that run one after the other."""
    noop = [{"id": number, "type": spare_plugin.NOOP} for number in range(LARGE)]
    with tempfile.TemporaryDirectory(prefix="candy-bench-") as folder:
        env = {
            "CANDY_MAX_RUNNING_TASKS": "1",
            "CANDY_PROMETHEUS_URL": environment.prometheus.url,
            "PYTHONPATH": spare_plugin.install(Path(folder)),
        }
        async with environment.agent(env) as (_, agent):

            async def compare(label: str, items: list[dict[str, Any]], rounds: int) -> Finding:
                small = [items[start : start + SMALL] for start in range(0, LARGE, SMALL)]
                await agent.run(small[:10])
                times = await in_turn(
                    {"large": lambda: agent.run([items]), "small": lambda: agent.run(small)}, rounds, environment.step
                )
                each = {name: Spread.of(seconds).median * 1000 for name, seconds in times.items()}
                return Finding(
                    label=label,
                    figure=Spread.of_ratios(times["large"], times["small"]),
                    goal=Goal(bound=Bound.AT_MOST, value=1.2),
                    unit=" ×",
                    note=f"{each['large']:.3f} ms an item, {each['small']:.3f} in the small task",
                )

            return [
                await compare(
                    f"an item of {LARGE}: cost of one of {SMALL}, executor that does nothing", noop, environment.rounds
                ),
                await compare(
                    "the same with prometheus", metric_items(different(LARGE)), max(1, environment.rounds // 2)
                ),
            ]
