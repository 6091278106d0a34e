"""Accepting tasks, compared with a bare aiohttp handler that only parses the JSON and responds."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import orjson
from attrs import asdict

from candy_bench import spare_plugin
from candy_bench.agent_client import AgentClient
from candy_bench.environment import Environment
from candy_bench.findings import Bound, Finding, Goal
from candy_bench.load import Order
from candy_bench.rounds import Spread, in_turn
from candy_testbed import LoopbackServer
from candy_testbed.server import answers

CLIENTS = 32
REQUESTS = 8_000


class BareHandler(LoopbackServer):
    """``python -m candy_bench.bare_handler``."""

    program: ClassVar[str] = sys.executable
    package: ClassVar[str] = "python3"

    def command(self) -> Sequence[str]:
        """Its only argument is the port."""
        return ["-m", "candy_bench.bare_handler", str(self.port)]

    def ready(self) -> bool:
        """Whether it answers."""
        return answers(f"{self.url}/health")


class Generator:
    """Loads one server after another, and remembers how busy it was at most."""

    def __init__(self) -> None:
        self.busiest = 0.0

    async def post(self, port: int, key: str = "none") -> float:
        """Post :data:`REQUESTS` tasks; seconds a request. All of them have to be taken."""
        order = Order(port=port, key=key, requests=REQUESTS, clients=CLIENTS)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "candy_bench.load", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        written, _ = await child.communicate(orjson.dumps(asdict(order)))
        if child.returncode:
            raise RuntimeError("the load generator failed")
        report = orjson.loads(written)
        if report["statuses"] != {"202": REQUESTS}:
            raise RuntimeError(f"{REQUESTS} tasks should be taken; the answers were {report['statuses']}")
        self.busiest = max(self.busiest, report["busy"])
        seconds: float = report["seconds"] / REQUESTS
        return seconds


async def measure(environment: Environment) -> Sequence[Finding]:
    """Two ways to keep the execution of the tasks out of the measurement.

    *Waiting*: the only place for running tasks is taken by a task that never ends, so that all others only wait.
    *Ending at once*: no datasource is configured, so each item ends as ``not_configured`` without a question to
    anybody; but each task is claimed, run, logged and ended on the same loop while others come in.
    """
    generator = Generator()
    common = {"CANDY_MAX_PENDING_TASKS": "1000000"}
    with tempfile.TemporaryDirectory(prefix="candy-bench-") as folder:
        blocked = common | {"CANDY_MAX_RUNNING_TASKS": "1", "PYTHONPATH": spare_plugin.install(Path(folder))}

        async def waiting() -> float:
            # A new agent each time: 8 000 tasks stay in the memory of the one before.
            async with environment.agent(blocked) as (process, agent):
                await _occupy(agent)
                return await generator.post(process.port, agent.key)

        async def ending() -> float:
            async with environment.agent(common) as (process, agent):
                return await generator.post(process.port, agent.key)

        async with BareHandler() as bare:
            for _ in range(2):
                await generator.post(bare.port)
            times = await in_turn(
                {
                    "bare": lambda: generator.post(bare.port),
                    "waiting": waiting,
                    "ending": ending,
                },
                environment.rounds,
                environment.step,
            )
    rates = {name: 1 / Spread.of(seconds).median for name, seconds in times.items()}

    def row(name: str, label: str, goal: float | None) -> Finding:
        return Finding(
            label=label,
            figure=Spread.of_ratios(times["bare"], times[name]),
            goal=Goal(bound=Bound.AT_LEAST, value=goal) if goal else None,
            unit=" ×",
            note=f"{rates[name]:.0f} a second, bare {rates['bare']:.0f}; load generator {generator.busiest:.0%} busy",
        )

    return [
        row("waiting", f"POST of a task at {CLIENTS} clients, tasks wait: speed of a bare handler", 0.5),
        row("ending", "the same while all of these tasks are run and ended, too", None),
    ]


async def _occupy(agent: AgentClient) -> None:
    """Occupy the agent's only slot for running tasks."""
    await agent.submit_aside([{"id": 1, "type": spare_plugin.WAIT}])
    while await agent.count("running") != 1:  # noqa: ASYNC110  # what is waited for happens in another process
        await asyncio.sleep(0.05)
