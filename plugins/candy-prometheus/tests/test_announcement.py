"""What the plugin announces."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

from candy_kit_promql import MAX_BATCH, MetricParams, batch_key, concurrency_key, dedup_key
from candy_prometheus import plugin


def test_the_entry_point_is_the_plugins_name() -> None:
    """Contract section 6: "``name`` being the entry point's"."""
    [found] = entry_points(group="candy", name="prometheus")
    assert found.load() is plugin


def test_one_executor_with_the_contracts_name_and_batches() -> None:
    [spec] = plugin.candy_executors()
    assert (spec.name, spec.aliases) == ("prometheus", ())
    assert spec.params is MetricParams
    assert spec.batch_key is batch_key
    assert spec.dedup_key is dedup_key
    assert spec.concurrency_key is concurrency_key
    assert spec.max_batch == MAX_BATCH


def test_every_setting_has_a_default() -> None:
    [spec] = plugin.candy_executors()
    assert spec.settings() == spec.settings()


async def test_without_settings_the_plugin_opens_and_is_healthy(open_agent: Any) -> None:
    """Contract section 7: "a plugin without settings is ``active``, its items ``not_configured``"."""
    async with open_agent() as agent:
        assert (await agent.health()).ok
        [outcome] = await agent.run("up")
    assert (outcome.status, outcome.reason) == ("failed", "not_configured")
    assert "CANDY_PROMETHEUS_URL" in outcome.message


def test_announcing_imports_neither_the_http_client_nor_the_parser() -> None:
    """Listing a plugin must be cheap."""
    code = "import sys, candy_prometheus.plugin; sys.exit(bool({'aiohttp', 'promql_parser'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
