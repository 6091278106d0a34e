"""The plugin, opened and called as by the core."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from candy_testbed.metric_plugin import Agent, Open, opener
from candy_victoriametrics import plugin


@pytest.fixture
def open_agent() -> Open:
    """An async context manager around the plugin with these settings."""
    return opener("victoriametrics", *plugin.candy_executors())


@pytest.fixture
async def agent(victoriametrics: str, open_agent: Open) -> AsyncIterator[Agent]:
    """The plugin with the session's VictoriaMetrics as its datasource."""
    async with open_agent(url=victoriametrics) as opened:
        yield opened
