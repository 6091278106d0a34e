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

from candy_demo.environment import AGENT_ID, Environment, start_environment
from candy_demo.inspection import (
    AgentClient,
    Check,
    Json,
    has_executor,
    new_task_id,
    prefers_chinese,
    task,
    verify,
    wait_for_server,
)
from candy_server import CandyServer
from candy_testbed import MissingServer, NotReady

TIMEOUT = 60.0
"""The timeout of the demo, in seconds."""
COLORS = {"normal": "green", "warning": "yellow", "critical": "red", "failed": "red"}

console = Console(highlight=False)


@click.command()
@click.option("--keep", is_flag=True, help="Keep everything running until Ctrl-C.")
def main(keep: bool) -> None:
    """Inspect this machine from end to end."""
    # A shell without job control starts background processes with SIGINT ignored; kill -INT must work nevertheless.
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

        def report(step: str) -> None:
            bar.update(steps, description=f"Starting {step}", advance=1)

        async with start_environment(report) as env, AgentClient(env.agent.url, env.key) as agent:
            bar.update(steps, description="Everything is running", completed=6)
            async with asyncio.timeout(TIMEOUT):
                plugins = await agent.plugins()
                victoriametrics, chinese = has_executor(plugins, "victoriametrics"), prefers_chinese(os.environ)
                body = task(new_task_id(), with_victoriametrics=victoriametrics, chinese=chinese)
                items = bar.add_task("Inspecting", total=len(body["items"]))
                result = await agent.run(
                    body, lambda done, total: bar.update(items, completed=done, total=total), timeout=30
                )
                heartbeat, callback = await wait_for_server(env.server, AGENT_ID, body["task_id"])
            bar.stop()
            _show_plugins(plugins)
            _show_results(body, result)
            _show_received(env.server)
            checks.extend(verify(result, heartbeat, callback))
            if keep:
                _show_addresses(env, body)
                await asyncio.Event().wait()
        code = env.agent.exit_code
        checks.append(Check(label="the agent stopped cleanly on SIGTERM", ok=code == 0, found=f"exit code {code}"))
    for check in checks:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        console.print(f"{mark} {check.label}: [dim]{escape(check.found)}[/]")
    console.print(f"{time.monotonic() - began:.1f} s")
    return checks


def _show_plugins(plugins: list[Json]) -> None:
    table = _table("Installed plugins", "plugin", "version", "state", "provides")
    for plugin in plugins:
        table.add_row(plugin["name"], plugin["version"], plugin["state"], ", ".join(plugin["provides"]))
    console.print(table)


def _show_results(body: Json, result: Json) -> None:
    items = {item["id"]: item for item in body["items"]}
    table = _table(f"Task {result['task_id']}: {result['message']}", "item", "type", "status", "value", "message", "ms")
    for found in result["results"]:
        item = items[found["item_id"]]
        color = COLORS.get(found["status"], "red")
        table.add_row(
            escape(item["name"]),
            item["type"],
            f"[{color}]{found['status']}[/]",
            escape(_short(found["value"])),
            escape(found["message"]),
            str(found["duration"]),
        )
    console.print(table)


def _short(value: str) -> str:
    """The value with two decimals, as in the messages; results have the backend's own text, with all digits."""
    with contextlib.suppress(ValueError):
        return f"{float(value):.2f}"
    return value


def _show_received(server: CandyServer) -> None:
    table = _table("What Candy-Server received", "at", "message", "content")
    if beats := list(server.inbox.heartbeats):
        last = beats[-1].body
        content = f"{last['agent_id']} in {last['cluster_info']['name']}: {last['status']}"
        table.add_row(beats[-1].at[11:], "heartbeat", escape(f"{content}; the last of {len(beats)}"))
    for call in server.inbox.callbacks:
        content = f"{call.task_id}: {call.body.get('status')}; signature {call.signature}, answered {call.status}"
        table.add_row(call.at[11:], f"callback {call.event}", content + ("; duplicate" if call.duplicate else ""))
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _show_addresses(env: Environment, body: Json) -> None:
    request = json.dumps({"items": body["items"], "locale": body["locale"]}, ensure_ascii=False).replace("'", "'\\''")
    address = env.agent.url.removeprefix("http://")
    victoriametrics = env.victoriametrics.url if env.victoriametrics is not None else "not started"
    console.print(
        f"""
agent           {env.agent.url}   (/docs, /health, /ready)
Candy-Server    {env.server.url}   (/received/callbacks, /received/heartbeats)
Prometheus      {env.prometheus.url}
VictoriaMetrics {victoriametrics}

For the tour in README.md:

AGENT={address} KEY={env.key}

The same inspection again:

curl -sS {env.agent.url}/api/v1/task -H 'X-API-Key: {env.key}' -H 'Content-Type: application/json' -d '{request}'

Ctrl-C stops everything.""",
        markup=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
