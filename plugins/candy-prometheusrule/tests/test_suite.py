"""The plugin against the suite that every rule backend must pass: a real API server and a real Prometheus."""

from __future__ import annotations

from pathlib import Path

import pytest

from candy_core.testing.rule_backend import RuleBackendSuite, Subject
from candy_prometheusrule import plugin
from candy_testbed import KubeCluster
from candy_testbed.rule_plugin import bad_rules, subject


class TestPrometheusRule(RuleBackendSuite):
    @pytest.fixture
    def subject(self, kube_cluster: KubeCluster, kube_namespace: str, tmp_path: Path, prometheus: str) -> Subject:
        [spec] = plugin.candy_rule_backends()
        return subject(
            "prometheusrule",
            spec,
            kube_cluster,
            kube_namespace,
            tmp_path,
            prometheus,
            api_version="monitoring.coreos.com/v1",
            kind="PrometheusRule",
            bad=bad_rules(
                ({"alert": "Bad", "expr": "up > 100d"}, "expr"), ({"alert": "Bad", "expr": "up[5m]"}, "expr")
            ),
        )
