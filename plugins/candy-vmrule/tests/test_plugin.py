"""What the plugin announces, and what it is told."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest
from candy_testbed.metric_plugin import lent_to
from candy_vmrule import plugin

from candy_core import BackendUnavailable, Invalid, Rule, RuleRef, params_reader


def test_the_entry_point_is_the_plugins_name() -> None:
    [found] = entry_points(group="candy", name="vmrule")
    assert found.load() is plugin


def test_one_backend_by_all_the_contracts_names() -> None:
    """Contract §5: "``type`` (``prometheus`` → PrometheusRule …; ``victoriaMetrics`` or ``vm`` → VMRule …"."""
    [spec] = plugin.candy_rule_backends()
    assert (spec.name, spec.aliases, spec.wire_name) == (
        "victoriametrics",
        ("victoriaMetrics", "vm"),
        "victoriaMetrics",
    )


def test_announcing_imports_no_client_and_no_parser() -> None:
    """Connect late: what is only listed costs little."""
    heavy = "{'aiohttp', 'kubernetes', 'promql_parser'}"
    code = f"import sys, candy_vmrule.plugin; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_without_a_cluster_it_opens_checks_rules_and_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Contract §7: "none of them: everything but Kubernetes works"; §5: 503 ``backend_unavailable``."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    [spec] = plugin.candy_rule_backends()
    assert spec.check is not None
    rule = Rule(ref=RuleRef(name="a"), groups=({"name": "g", "rules": [{"alert": "a", "expr": "", "for": "x"}]},))
    async with spec.open(lent_to("vmrule"), params_reader.read({}, spec.settings)) as backend:
        assert [problem.path for problem in await backend.validate(rule)] == [
            "$.groups[0].rules[0].expr",
            "$.groups[0].rules[0].for",
        ]
        with pytest.raises(BackendUnavailable):
            await backend.get(rule.ref)
        assert not (await spec.check(backend)).ok


@pytest.mark.parametrize(
    "settings",
    [
        {"labels": {"a b": "c"}},
        {"labels": {"a": "not a value"}},
        {"labels": {"-a": "b"}},
        {"labels": {"Upper.example/a": "b"}},
        {"labels": {"app.kubernetes.io/managed-by": "me"}},
        {"datasource": {}},
        {"datasource": {"url": "victoriametrics:9090"}},
        {"timeout": 0},
    ],
)
def test_settings_that_nothing_could_be_done_with_are_refused(settings: Any) -> None:
    [spec] = plugin.candy_rule_backends()
    with pytest.raises(Invalid):
        params_reader.read(settings, spec.settings)


def test_settings_as_the_environment_has_them() -> None:
    [spec] = plugin.candy_rule_backends()
    written: Any = {
        "labels": '{"release": "kube-prometheus-stack", "example.com/team": ""}',
        "datasource": '{"url": "http://victoriametrics:9090", "bearer_token_file": "/run/token"}',
    }
    found: Any = params_reader.read(written, spec.settings)
    assert found.labels == {"release": "kube-prometheus-stack", "example.com/team": ""}
    assert found.datasource.url == "http://victoriametrics:9090"
