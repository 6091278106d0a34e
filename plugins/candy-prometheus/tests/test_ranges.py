"""A ``range`` ends at the task's instant, on a real Prometheus."""

from __future__ import annotations

import time
from typing import Any

import pytest


@pytest.mark.parametrize(
    "range_",
    [
        {"lookback": "100"},
        {"lookback": "100s", "step": "60s"},
        {"lookback": "500ms"},
        {"lookback": "1h", "step": "59m"},
        {"lookback": "5m", "step": "0.0279"},
        {"lookback": "300.0007", "step": "0.0276"},
        {"lookback": "1ms"},
        '{"lookback": "7m"}',
    ],
)
async def test_the_last_point_of_a_range_is_the_tasks_instant(agent: Any, range_: object) -> None:
    """Contract section 2: "All metric queries of one task are evaluated at one instant, the task's start"."""
    instant = round(time.time(), 3)
    [now, last] = await agent.run("time()", {"query": "time()", "range": range_}, time_=instant)
    assert (float(now.value), float(last.value)) == (instant, instant)
