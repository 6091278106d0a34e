"""Many small commands on the agent's own host, against others that start them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from candy_bench.environment import Environment
from candy_bench.findings import Bound, Finding, Goal
from candy_bench.rounds import Contestant, Spread, in_turn

COUNT = 500
CONCURRENCY = 32
"""The agent's own default for one executor."""
ARGV = ("echo", "1")


async def measure(environment: Environment) -> Sequence[Finding]:
    """One task of trivial templates."""
    items = [{"id": number, "type": "bash", "params": {"template": "bench"}} for number in range(COUNT)]
    with tempfile.TemporaryDirectory(prefix="candy-bench-") as folder:
        async with environment.agent({"CANDY_BASH_TEMPLATES": _catalogue(folder)}) as (_, agent):
            await agent.run([items[:50]])
            contestants: dict[str, Contestant] = {
                "agent": lambda: agent.run([items]),
                "loop": lambda: bare_loop(COUNT),
            }
            if shutil.which("xargs") is not None:
                contestants["xargs"] = lambda: xargs(COUNT)
            times = await in_turn(contestants, environment.rounds, environment.step)

    def row(label: str, other: str, goal: float | None) -> Finding:
        if other not in times:
            return Finding(label=label, figure=None, note=f"{other} is not installed")
        return Finding(
            label=label,
            figure=Spread.of_ratios(times[other], times["agent"]),
            goal=None if goal is None else Goal(bound=Bound.AT_LEAST, value=goal),
            unit=" ×",
            note=f"{Spread.of(times[other]).median * 1000:.2f} ms a command, "
            f"the agent {Spread.of(times['agent']).median * 1000:.2f}",
        )

    return [
        row(f"{COUNT} local commands, {CONCURRENCY} at a time: speed of a bare asyncio loop", "loop", 0.8),
        row("speed of xargs, which reads no output", "xargs", None),
    ]


def _catalogue(folder: str) -> str:
    path = Path(folder, "templates.yaml")
    path.write_text("templates: {bench: {argv: [echo, '1']}}\n")
    return str(path)


async def bare_loop(count: int) -> float:
    """:mod:`candy_bench.bare_loop` in a process of its own, whose start is not counted; seconds a command."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "candy_bench.bare_loop", str(count), str(CONCURRENCY), *ARGV),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    output, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"the bare loop failed: {child.returncode}")
    return float(output) / count


async def xargs(count: int) -> float:
    """``xargs -P``; seconds a command."""
    began = time.perf_counter()
    child = await asyncio.create_subprocess_exec(
        "xargs", "-P", str(CONCURRENCY), "-n", "1", ARGV[0], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    await child.communicate(b"1\n" * count)
    if child.returncode:
        raise RuntimeError(f"xargs failed: {child.returncode}")
    return (time.perf_counter() - began) / count
