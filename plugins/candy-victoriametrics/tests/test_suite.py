"""The plugin against the suite that every executor must pass: a real VictoriaMetrics, and a hostile server."""

from __future__ import annotations

import pytest

from candy_core.testing.executor import ExecutorSuite, Subject
from candy_testbed.metric_plugin import subject
from candy_victoriametrics import plugin


class TestVictoriaMetrics(ExecutorSuite):
    @pytest.fixture
    def subject(self, victoriametrics: str, hostile_http: str) -> Subject:
        [spec] = plugin.candy_executors()
        return subject("victoriametrics", spec, victoriametrics, hostile_http, stretch={"lookback": "5m"})
