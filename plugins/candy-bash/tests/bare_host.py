"""Opens the plugin with the settings in its first argument, runs the items in the others, and prints the outcomes.

All of these are JSON. A test runs it where there is neither a shell nor ``prlimit``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from candy_bash import plugin
from candy_core import Item, SettingsError, params_reader
from candy_core.testing.context import plugin_context
from candy_testbed import task_run


async def outcomes(settings: Any, items: list[Any]) -> dict[str, Any]:
    [spec] = plugin.candy_executors()
    found: list[Any] = []
    try:
        async with spec.open(plugin_context("bash"), params_reader.read(settings, spec.settings)) as executor:
            for index, params in enumerate(items):
                item = Item(index=index, id=index, name="", params=params_reader.read(params, spec.params))
                outcome = await executor.run(item, task_run())  # type: ignore[union-attr]  # of one item at a time
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
