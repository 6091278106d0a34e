"""``make bench``."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import click
import uvloop
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from candy_bench import at_rest, intake, item_cost, local, queries, remote, rules, victoriametrics
from candy_bench.bare_client import session
from candy_bench.environment import Environment, prometheus
from candy_bench.findings import Finding, NotMeasured, table
from candy_testbed import MissingServer, NotReady

Measurement: TypeAlias = Callable[[Environment], Awaitable[Sequence[Finding]]]
MEASUREMENTS: Mapping[str, Measurement] = {
    "queries": queries.measure,
    "victoriametrics": victoriametrics.measure,
    "remote": remote.measure,
    "local": local.measure,
    "rules": rules.measure,
    "intake": intake.measure,
    "items": item_cost.measure,
    "rest": at_rest.measure,
}
LONGEST = 900.0
"""Seconds after which a benchmark that hangs is aborted."""


async def run(names: Sequence[str], rounds: int, console: Console) -> Sequence[Finding]:
    """The measurements, one after the other."""
    findings: list[Finding] = []
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bar:
        shown = bar.add_task("starting Prometheus")
        async with asyncio.timeout(LONGEST), prometheus() as server, session() as http:
            for name in names:
                count = iter(range(1, 10_000))

                def step(name: str = name, count: Iterator[int] = count) -> None:
                    bar.update(shown, description=f"{name}: {next(count)}")

                bar.update(shown, description=name)
                environment = Environment(prometheus=server, session=http, rounds=rounds, step=step)
                try:
                    findings += await MEASUREMENTS[name](environment)
                except (MissingServer, NotMeasured) as missing:
                    findings.append(Finding(label=name, figure=None, note=str(missing)))
    return findings


@click.command()
@click.option(
    "--rounds", default=5, show_default=True, type=click.IntRange(1, 50), help="How often each one's turn comes."
)
@click.option("--only", multiple=True, type=click.Choice(list(MEASUREMENTS)), help="Measure this alone; repeatable.")
def main(rounds: int, only: Sequence[str]) -> None:
    """Compare the agent with others that do the same work. A missed goal is shown, but is not a failure."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    began = time.monotonic()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            findings = runner.run(run(only or list(MEASUREMENTS), rounds, console))
    except (NotReady, RuntimeError, TimeoutError) as error:
        console.print(f"The bench failed: {error}", markup=False)
        sys.exit(1)
    console.print(table(findings))
    console.print(f"{rounds} rounds, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
