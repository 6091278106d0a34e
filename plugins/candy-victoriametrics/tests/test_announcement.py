"""What the plugin announces, and its settings."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest

from candy_core import Invalid, params_reader
from candy_kit_promql import MAX_BATCH, MetricParams, batch_key, concurrency_key, dedup_key
from candy_victoriametrics import plugin


def test_the_entry_point_is_the_plugins_name() -> None:
    """Contract section 6: "``name`` being the entry point's"."""
    [found] = entry_points(group="candy", name="victoriametrics")
    assert found.load() is plugin


def test_one_executor_with_all_names_of_the_contract() -> None:
    """Contract section 3: "**`victoriaMetrics`** (also `victoriametrics`, `vm`)"."""
    [spec] = plugin.candy_executors()
    assert {spec.name, *spec.aliases} == {"victoriaMetrics", "victoriametrics", "vm"}
    assert spec.params is MetricParams
    assert (spec.batch_key, spec.dedup_key, spec.concurrency_key) == (batch_key, dedup_key, concurrency_key)
    assert spec.max_batch == MAX_BATCH
    assert spec.settings() == spec.settings()


async def test_without_settings_the_plugin_opens_and_is_healthy(open_agent: Any) -> None:
    """Contract section 7: "a plugin without settings is ``active``, its items ``not_configured``"."""
    async with open_agent() as agent:
        assert (await agent.health()).ok
        [outcome] = await agent.run("up")
    assert (outcome.status, outcome.reason) == ("failed", "not_configured")
    assert "CANDY_VICTORIAMETRICS_URL" in outcome.message


def test_announcing_imports_neither_the_http_client_nor_the_parser() -> None:
    """Listing a plugin must be cheap."""
    code = "import sys, candy_victoriametrics.plugin; sys.exit(bool({'aiohttp', 'promql_parser'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def addresses(**settings: Any) -> dict[str, str]:
    [spec] = plugin.candy_executors()
    return {name: str(source.url) for name, source in params_reader.read(settings, spec.settings).named().items()}


def test_a_tenant_adds_the_clusters_path_and_without_one_the_path_is_unchanged() -> None:
    further = {
        "b": {"url": "http://vmselect:8481/", "tenant": "7:1"},
        "c": {"url": "http://vmselect:8481/select/3/prometheus/"},
        "d": {"url": "https://proxy/metrics/vm", "tenant": "multitenant"},
    }
    assert addresses(url="http://vmselect:8481", tenant="0", datasources=further) == {
        "default": "http://vmselect:8481/select/0/prometheus",
        "b": "http://vmselect:8481/select/7:1/prometheus",
        "c": "http://vmselect:8481/select/3/prometheus",
        "d": "https://proxy/metrics/vm/select/multitenant/prometheus",
    }
    assert addresses(url="http://single:8428") == {"default": "http://single:8428"}


@pytest.mark.parametrize("tenant", ["a", "1:", ":1", "1:2:3", "-1", "1/2", "../0", "0/prometheus", "12345678901", ""])
def test_an_invalid_tenant_is_rejected(tenant: str) -> None:
    with pytest.raises(Invalid):
        addresses(url="http://vmselect:8481", tenant=tenant)


def test_a_tenant_beside_a_path_with_one_is_rejected() -> None:
    with pytest.raises(Invalid, match="tenant"):
        addresses(url="http://vmselect:8481/select/0/prometheus", tenant="0")
    with pytest.raises(Invalid, match="tenant"):
        addresses(datasources={"a": {"url": "http://vmselect:8481/select/0/prometheus", "tenant": "0"}})
