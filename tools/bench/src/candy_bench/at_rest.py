"""How fast the agent starts, and how much memory it uses when idle."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar

from candy_bench.environment import Environment
from candy_bench.findings import Bound, Finding, Goal
from candy_bench.rounds import Spread, in_turn
from candy_testbed import AgentProcess
from candy_testbed.server import answers

AS_INSTALLED = "import sys; sys.modules['rich'] = None; from candy_core.cli import main; main(prog_name='candy-agent')"
"""Without this benchmark there is no rich either, which structlog imports if it is installed: 9 MB."""
PLUGINS = ("callback", "prometheus")
"""The plugins that are loaded; what else is installed is not even imported."""
SETTLED = 5.0
"""Seconds after which a started agent is idle."""


class InstalledAgent(AgentProcess):
    """The agent with no more to import than it brings along itself."""

    program: ClassVar[str] = sys.executable

    def command(self) -> Sequence[str]:
        """As ``candy-agent serve``."""
        return ["-c", AS_INSTALLED, "serve"]


async def measure(environment: Environment) -> Sequence[Finding]:
    """From the start of the process to the first 200 on ``/ready``; resident memory a little later."""
    others = sorted({entry.name for entry in entry_points(group="candy")} - set(PLUGINS))
    env = {
        "CANDY_API_KEY": "bench",
        "CANDY_PLUGINS_BLOCKED": ",".join(others),
        "CANDY_PROMETHEUS_URL": environment.prometheus.url,
    }

    async def start() -> float:
        with ExitStack() as stack:
            return _start(InstalledAgent(env=env), stack)

    times = await in_turn({"ready": start, "import": _import_aiohttp}, environment.rounds, environment.step)
    resident = []
    for _ in range(2):
        with ExitStack() as stack:
            agent = InstalledAgent(env=env)
            _start(agent, stack)
            await asyncio.sleep(SETTLED)
            resident.append(_resident(agent.pid))
        environment.step()
    imported = Spread.of(times["import"]).median
    return [
        Finding(
            label=f"start of the process to /ready, plugins {' and '.join(PLUGINS)}",
            figure=Spread.of(times["ready"]),
            goal=Goal(bound=Bound.AT_MOST, value=1),
            unit=" s",
            note=f"a Python that only imports aiohttp.web: {imported:.2f} s",
        ),
        Finding(
            label=f"resident memory {SETTLED:g} s later",
            figure=Spread.of(resident),
            goal=Goal(bound=Bound.AT_MOST, value=60),
            unit=" MB",
        ),
    ]


def _start(agent: AgentProcess, stack: ExitStack) -> float:
    """Start an agent that ends with ``stack``, and wait for it more closely than its context manager would."""
    stack.push(agent)
    began = time.perf_counter()
    agent.start()
    while not answers(f"{agent.url}/ready"):
        if time.perf_counter() - began > agent.start_timeout:
            raise RuntimeError(f"the agent was not ready\n{agent.output()}")
        time.sleep(0.005)
    return time.perf_counter() - began


async def _import_aiohttp() -> float:
    began = time.perf_counter()
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "import aiohttp.web")
    await child.wait()
    return time.perf_counter() - began


def _resident(pid: int) -> float:
    """Resident megabytes (10^6 bytes) of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} tells nothing of its memory")
