"""The plugin against the suite that every rule backend must pass: a real API server and a real VictoriaMetrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from candy_core.testing.rule_backend import RuleBackendSuite, Subject
from candy_testbed import KubeCluster
from candy_testbed.rule_plugin import bad_rules, subject
from candy_vmrule import plugin


class TestVMRule(RuleBackendSuite):
    @pytest.fixture
    def subject(self, kube_cluster: KubeCluster, kube_namespace: str, tmp_path: Path, victoriametrics: str) -> Subject:
        [spec] = plugin.candy_rule_backends()
        return subject(
            "vmrule",
            spec,
            kube_cluster,
            kube_namespace,
            tmp_path,
            victoriametrics,
            api_version="operator.victoriametrics.com/v1beta1",
            kind="VMRule",
            bad=bad_rules(
                ({"alert": "Bad", "expr": "nope(up)"}, "expr"), ({"alert": "Bad", "expr": "up", "for": "5M"}, "for")
            ),
        )
