"""A well-behaved executor passes the suite."""

from __future__ import annotations

import pytest

from candy_core.testing.executor import ExecutorSuite, Subject
from tests.testing.executor.executors import subject as well_behaved


class TestOneAtATime(ExecutorSuite):
    @pytest.fixture
    def subject(self) -> Subject:
        return well_behaved()


class TestBatches(ExecutorSuite):
    @pytest.fixture
    def subject(self) -> Subject:
        return well_behaved(batch=True)
