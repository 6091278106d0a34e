"""The plugin against the suite that every executor must pass: it is opened and run as the agent does."""

from __future__ import annotations

import pytest

from candy_core.testing.executor import Case, ExecutorSuite, Subject
from candy_disk.plugin import candy_executors


class TestDisk(ExecutorSuite):
    @pytest.fixture
    def subject(self) -> Subject:
        """What the suite needs to know about this executor. :class:`Subject` has more fields, and explains them."""
        (spec,) = candy_executors()
        return Subject(
            plugin="disk",
            spec=spec,
            settings={"paths": "/,/no/such/path"},
            ordinary=[
                Case(params={"path": "/"}, matches="Path: /\nUsed: [0-9]+ of [0-9]+ bytes"),
                Case(params={"path": "/", "threshold": "100"}),
                Case(params={"path": "/", "threshold": ">=0"}, reason="threshold_exceeded"),
                Case(params={"path": "/", "threshold": 100, "critical": ">=0"}, reason="threshold_exceeded"),
            ],
            failures=[
                Case(params={"path": "/etc"}, reason="not_allowed", matches="plugins.disk.paths"),
                Case(params={"path": "/no/such/path"}, reason="unreachable"),
                Case(params={"path": "/", "threshold": "much"}, reason="bad_params"),
                Case(params={}, reason="bad_params"),
            ],
        )
