"""The plugin, opened and called as by the core."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from candy_prometheus import plugin
from candy_testbed.metric_plugin import Agent, Open, opener


@pytest.fixture
def open_agent() -> Open:
    """An async context manager around the plugin with these settings."""
    return opener("prometheus", *plugin.candy_executors())


@pytest.fixture
async def agent(prometheus: str, open_agent: Open) -> AsyncIterator[Agent]:
    """The plugin with the session's Prometheus as its datasource."""
    async with open_agent(url=prometheus) as opened:
        yield opened
