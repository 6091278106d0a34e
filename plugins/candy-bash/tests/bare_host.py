"""Opens the plugin with the settings in its first argument, runs the items in the others, and prints the outcomes.

All of these are JSON. A test runs it where there is neither a shell nor ``prlimit``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import structlog

from candy_bash import plugin
from candy_core import Item, Locale, PluginContext, Run, Secret, SettingsError, params_reader


async def no_credential(name: str) -> Secret:
    raise AssertionError(f"unexpected request for the credential {name}")


async def outcomes(settings: Any, items: list[Any]) -> dict[str, Any]:
    [spec] = plugin.candy_executors()
    log = structlog.get_logger()
    context = PluginContext(plugin="bash", agent_id="agent", core_version="0.1.0", logger=log, credential=no_credential)
    found: list[Any] = []
    try:
        async with spec.open(context, params_reader.read(settings, spec.settings)) as executor:
            for index, params in enumerate(items):
                item = Item(index=index, id=index, name="", params=params_reader.read(params, spec.params))
                run = Run(
                    task_id="task",
                    time=time.time(),
                    locale=Locale.EN,
                    deadline=asyncio.get_running_loop().time() + 60,
                    logger=log,
                )
                outcome = await executor.run(item, run)  # type: ignore[union-attr]  # of one item at a time
                found.append([outcome.reason, outcome.stats.get("exit_code"), outcome.details, outcome.message])
            assert spec.check is not None
            health = await spec.check(executor)
    except SettingsError as error:
        return {"error": str(error)}
    return {"outcomes": found, "health": [health.ok, health.detail]}


if __name__ == "__main__":
    assert not any(Path("/bin", name).exists() for name in ("sh", "bash", "prlimit"))
    given = [json.loads(text) for text in sys.argv[1:]]
    print(json.dumps(asyncio.run(outcomes(given[0], given[1:]))))
