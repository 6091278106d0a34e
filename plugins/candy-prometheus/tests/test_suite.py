"""The plugin against the suite that every executor must pass: with a real Prometheus, and a hostile server."""

from __future__ import annotations

import pytest

from candy_core.testing.executor import ExecutorSuite, Subject
from candy_prometheus import plugin
from candy_testbed.metric_plugin import subject


class TestPrometheus(ExecutorSuite):
    @pytest.fixture
    def subject(self, prometheus: str, hostile_http: str) -> Subject:
        [spec] = plugin.candy_executors()
        return subject("prometheus", spec, prometheus, hostile_http, stretch={"lookback": "5s", "step": "1s"})
