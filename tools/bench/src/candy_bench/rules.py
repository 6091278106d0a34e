"""Alert rules in a real API server, against a bare client that does no more than the calls."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from candy_bench.environment import Environment
from candy_bench.findings import Bound, Finding, Goal
from candy_bench.rounds import Spread, in_turn
from candy_bench.rule_bodies import expression, rule_name
from candy_testbed.kube import KubeCluster

COUNT = 1000
CONCURRENCY = 16
"""The plugin's own default for its session."""
OBJECTS = "/apis/monitoring.coreos.com/v1/namespaces/{}/prometheusrules"


async def measure(environment: Environment) -> Sequence[Finding]:
    """A sync that finds everything as it is to be, and one that has all to make."""
    rules = [{"name": rule_name(number), "content": f"{expression(number)}"} for number in range(COUNT)]
    with KubeCluster() as cluster:
        kept, made = cluster.create_namespace(), cluster.create_namespace()
        variables = {"KUBECONFIG": str(cluster.kubeconfig)}

        async def sync(namespace: str, result: str) -> float:
            began = time.perf_counter()
            answer = await agent.post(
                "/api/alert-rules/sync", {"type": "prometheus", "namespace": namespace, "rules": rules}
            )
            taken = time.perf_counter() - began
            if answer["summary"][result] != COUNT:
                raise RuntimeError(f"{COUNT} rules should be {result}: {answer['summary']}")
            return taken

        async def bare(operation: str, namespace: str) -> float:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "candy_bench.bare_kube", operation, str(cluster.kubeconfig), namespace),
                *(str(COUNT), str(CONCURRENCY)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
            output, _ = await child.communicate()
            if child.returncode:
                raise RuntimeError(f"the bare client failed: {child.returncode}")
            return float(output)

        async def emptied(taken: float) -> float:
            await asyncio.to_thread(cluster.api.request, "DELETE", OBJECTS.format(made), timeout=60)
            return taken

        async with environment.agent(variables) as (_, agent):
            await sync(kept, "created")
            contestants = {
                "sync": lambda: sync(kept, "unchanged"),
                "list": lambda: bare("list", kept),
                "sync that creates": lambda: _then(sync(made, "created"), emptied),
                "creates": lambda: _then(bare("create", made), emptied),
                "applies": lambda: _then(bare("apply", made), emptied),
            }
            times = await in_turn(contestants, environment.rounds, environment.step)
    return [
        Finding(
            label=f"sync of {COUNT} unchanged rules: time of one bare list call",
            figure=Spread.of_ratios(times["sync"], times["list"]),
            goal=Goal(bound=Bound.AT_MOST, value=2),
            unit=" ×",
            note=f"{Spread.of(times['list']).median * 1000:.0f} ms the list, the sync "
            f"{Spread.of(times['sync']).median * 1000:.0f}",
        ),
        Finding(
            label=f"{COUNT} rules created, {CONCURRENCY} at a time: speed of a bare client",
            figure=Spread.of_ratios(times["creates"], times["sync that creates"]),
            goal=Goal(bound=Bound.AT_LEAST, value=0.8),
            unit=" ×",
            note=f"{Spread.of(times['creates']).median:.2f} s, the sync "
            f"{Spread.of(times['sync that creates']).median:.2f}",
        ),
        Finding(
            label="the same, the client creating by server-side apply with marks, as the agent does",
            figure=Spread.of_ratios(times["applies"], times["sync that creates"]),
            unit=" ×",
            note=f"{Spread.of(times['applies']).median:.2f} s",
        ),
    ]


async def _then(work: Awaitable[float], clean: Callable[[float], Awaitable[float]]) -> float:
    """The seconds of some work; what it left is cleaned up off the clock."""
    return await clean(await work)
