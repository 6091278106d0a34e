"""``make demo`` and ``make run``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from candy_demo.inspection import AgentClient, Check, Json, judged, new_task_id, reads_chinese, received, runs, task
from candy_demo.surroundings import AGENT_ID, Surroundings, surroundings
from candy_server import CandyServer
from candy_testbed import MissingServer, NotReady

TIMEOUT = 60.0
"""Seconds after which a demo that hangs is a failure."""
COLOURS = {"normal": "green", "warning": "yellow", "critical": "red", "failed": "red"}

console = Console(highlight=False)


@click.command()
@click.option("--keep", is_flag=True, help="Keep everything running until Ctrl-C.")
def main(keep: bool) -> None:
    """Inspect this machine from end to end."""
    # A shell without job control starts what goes to the background with Ctrl-C ignored; kill -INT has to work there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        checks = asyncio.run(_demo(keep=keep))
    except KeyboardInterrupt:
        sys.exit(0 if keep else 130)
    except (MissingServer, NotReady, RuntimeError, TimeoutError) as error:
        console.print(f"[red]The demo failed:[/] {escape(str(error))}")
        sys.exit(1)
    sys.exit(0 if all(check.ok for check in checks) else 1)


async def _demo(*, keep: bool) -> list[Check]:
    began = time.monotonic()
    checks: list[Check] = []
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        steps = bar.add_task("Starting", total=6)

        def say(what: str) -> None:
            bar.update(steps, description=f"Starting {what}", advance=1)

        async with surroundings(say) as around, AgentClient(around.agent.url, around.key) as agent:
            bar.update(steps, description="Everything runs", completed=6)
            async with asyncio.timeout(TIMEOUT):
                plugins = await agent.plugins()
                victoriametrics, chinese = runs(plugins, "victoriametrics"), reads_chinese(os.environ)
                body = task(new_task_id(), with_victoriametrics=victoriametrics, chinese=chinese)
                items = bar.add_task("Inspecting", total=len(body["items"]))
                result = await agent.run(
                    body, lambda done, total: bar.update(items, completed=done, total=total), timeout=30
                )
                heartbeat, callback = await received(around.server, AGENT_ID, body["task_id"])
            bar.stop()
            _show_plugins(plugins)
            _show_results(body, result)
            _show_received(around.server)
            checks.extend(judged(result, heartbeat, callback))
            if keep:
                _show_addresses(around, body)
                await asyncio.Event().wait()
        code = around.agent.exit_code
        checks.append(Check(what="the agent stopped in order on SIGTERM", ok=code == 0, found=f"exit code {code}"))
    for check in checks:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        console.print(f"{mark} {check.what}: [dim]{escape(check.found)}[/]")
    console.print(f"{time.monotonic() - began:.1f} s")
    return checks


def _show_plugins(plugins: list[Json]) -> None:
    table = _table("Installed plugins", "plugin", "version", "state", "provides")
    for plugin in plugins:
        table.add_row(plugin["name"], plugin["version"], plugin["state"], ", ".join(plugin["provides"]))
    console.print(table)


def _show_results(body: Json, result: Json) -> None:
    names = {item["id"]: item for item in body["items"]}
    table = _table(f"Task {result['task_id']}: {result['message']}", "item", "type", "status", "value", "message", "ms")
    for found in result["results"]:
        asked = names[found["item_id"]]
        colour = COLOURS.get(found["status"], "red")
        table.add_row(
            escape(asked["name"]),
            asked["type"],
            f"[{colour}]{found['status']}[/]",
            escape(_short(found["value"])),
            escape(found["message"]),
            str(found["duration"]),
        )
    console.print(table)


def _short(value: str) -> str:
    """A value as sentences have it; results have the backend's own text, with all of its digits."""
    with contextlib.suppress(ValueError):
        return f"{float(value):.2f}"
    return value


def _show_received(server: CandyServer) -> None:
    table = _table("What Candy-Server received", "at", "what", "says")
    if beats := list(server.inbox.heartbeats):
        last = beats[-1].body
        says = f"{last['agent_id']} in {last['cluster_info']['name']}: {last['status']}"
        table.add_row(beats[-1].at[11:], "heartbeat", escape(f"{says}; the last of {len(beats)}"))
    for call in server.inbox.callbacks:
        says = f"{call.task_id}: {call.body.get('status')}; signature {call.signature}, answered {call.status}"
        table.add_row(call.at[11:], f"callback {call.event}", says + ("; duplicate" if call.duplicate else ""))
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _show_addresses(around: Surroundings, body: Json) -> None:
    again = json.dumps({"items": body["items"], "locale": body["locale"]}, ensure_ascii=False).replace("'", "'\\''")
    address = around.agent.url.removeprefix("http://")
    victoriametrics = around.victoriametrics.url if around.victoriametrics is not None else "not asked"
    console.print(
        f"""
agent           {around.agent.url}   (/docs, /health, /ready)
Candy-Server    {around.server.url}   (/received/callbacks, /received/heartbeats)
Prometheus      {around.prometheus.url}
VictoriaMetrics {victoriametrics}

For the tour in README.md:

AGENT={address} KEY={around.key}

The same inspection once more:

curl -sS {around.agent.url}/api/v1/task -H 'X-API-Key: {around.key}' -H 'Content-Type: application/json' -d '{again}'

Ctrl-C stops all of it.""",
        markup=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
