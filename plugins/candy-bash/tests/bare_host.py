"""Opens the plugin with the settings of its first argument, runs the items of the others, and prints what came of them.

All of it is JSON. It is run, by a test, where there is neither a shell nor ``prlimit``.
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
    raise AssertionError(f"nobody asks for the credential {name}")


async def told(settings: Any, asked: list[Any]) -> dict[str, Any]:
    [spec] = plugin.candy_executors()
    log = structlog.get_logger()
    context = PluginContext(plugin="bash", agent_id="agent", core_version="0.1.0", logger=log, credential=no_credential)
    found: list[Any] = []
    try:
        async with spec.open(context, params_reader.read(settings, spec.settings)) as executor:
            for index, params in enumerate(asked):
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
    print(json.dumps(asyncio.run(told(given[0], given[1:]))))
