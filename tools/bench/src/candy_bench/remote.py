"""A command on many hosts, against others that run it there at the same concurrency."""

from __future__ import annotations

from collections.abc import Sequence

from candy_bench.environment import Environment
from candy_bench.findings import Bound, Finding, Goal
from candy_bench.fleet import HOSTS, fleet
from candy_bench.peers import Peers
from candy_bench.rounds import Contestant, Spread, in_turn

RUNS = 2
REPEATED = 10
"""Runs of an agent that keeps its connections, since one is short."""


async def measure(environment: Environment) -> Sequence[Finding]:
    """First with a new connection for each command, then with those that the agent has kept."""
    peers = await Peers.make()
    async with (
        fleet() as hosts,
        environment.agent(hosts.environment(idle_time="0")) as (_, fresh),
        environment.agent(hosts.environment()) as (_, kept),
    ):
        items = hosts.items()

        async def repeated(runs: int) -> float:
            return sum([await kept.run([items]) for _ in range(runs)]) / runs

        async def connecting(runs: int) -> float:
            return sum([await fresh.run([items]) for _ in range(runs)]) / runs

        await repeated(1)  # opens the connections
        await connecting(1)
        contestants: dict[str, Contestant] = {
            "agent": lambda: connecting(RUNS),
            "parallel-ssh": lambda: peers.parallel_ssh(hosts, RUNS, fresh=True),
            "clush": lambda: peers.clush(hosts, RUNS),
            "agent again": lambda: repeated(REPEATED),
            "parallel-ssh again": lambda: peers.parallel_ssh(hosts, REPEATED, fresh=False),
            "start of clush": peers.clush_start,
        }
        times = await in_turn(contestants, environment.rounds, environment.step)
    start = Spread.of(times["start of clush"]).median

    def row(label: str, other: str, ours: str, goal: float | None, more: str = "") -> Finding:
        return Finding(
            label=label,
            figure=Spread.of_ratios(times[other], times[ours]),
            goal=None if goal is None else Goal(bound=Bound.AT_LEAST, value=goal),
            unit=" ×",
            note=f"{Spread.of(times[other]).median * 1000:.1f} ms a command, "
            f"the agent {Spread.of(times[ours]).median * 1000:.1f}{more}",
        )

    return [
        row(f"{HOSTS} sshds, new connections: speed of parallel-ssh", "parallel-ssh", "agent", 1),
        row("speed of clush", "clush", "agent", 1, f"; {start:.2f} s to start clush, in each run"),
        row("the same hosts again: speed of parallel-ssh, which connects anew", "parallel-ssh", "agent again", 5),
        row("speed of a parallel-ssh that keeps its client", "parallel-ssh again", "agent again", None),
    ]
