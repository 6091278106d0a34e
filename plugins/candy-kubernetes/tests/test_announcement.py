"""What the plugin announces."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

from candy_kubernetes import plugin
from candy_kubernetes.params import KubernetesParams
from candy_kubernetes.settings import KubernetesSettings


def test_the_entry_point_is_the_plugins_name() -> None:
    """Contract §6: "``name`` being the entry point's"."""
    [found] = entry_points(group="candy", name="kubernetes")
    assert found.load() is plugin


def test_one_executor_of_the_contracts_name_and_one_probe() -> None:
    """Contract §3: "**`kubernetes`** **+**"; §4: `cluster_info`."""
    [spec] = plugin.candy_executors()
    [probe] = plugin.candy_cluster_probes()
    assert (spec.name, spec.params, spec.settings) == ("kubernetes", KubernetesParams, KubernetesSettings)
    assert (probe.name, probe.settings) == ("kubernetes", KubernetesSettings)


async def test_without_a_cluster_the_plugin_opens_and_is_healthy(open_agent: Any) -> None:
    """Contract §7: "none of them: everything but Kubernetes works"; a plugin without settings is ``active``."""
    async with open_agent() as agent:
        assert (await agent.health()).ok
        outcome = await agent.run("pods")
    assert (outcome.status, outcome.reason) == ("failed", "not_configured")
    assert outcome.message.startswith("there is no cluster to check: no Kubernetes cluster is configured")


def test_announcing_imports_neither_a_client_nor_the_certificates() -> None:
    """Listing the installed plugins must be cheap."""
    heavy = {"aiohttp", "kubernetes", "cryptography", "promql_parser"}
    code = f"import sys, candy_kubernetes.plugin; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
