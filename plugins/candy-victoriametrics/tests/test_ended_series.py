"""Series that ended count as absent, though ``/api/v1/series`` of a real VictoriaMetrics still lists them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from candy_core import ItemStatus, Reason
from candy_testbed import VictoriaMetrics

AGO = 20 * 60


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("ended > 5", Reason.SERIES_ABSENT),
        ("ended", Reason.SERIES_ABSENT),
        ("up == 5 or ended > 5", Reason.SERIES_ABSENT),
        ("max_over_time(ended[5m]) > 9", Reason.SERIES_ABSENT),
        ({"query": "ended > 9", "range": {"lookback": "5m"}}, Reason.SERIES_ABSENT),
        ({"query": "ended > 9", "range": {"lookback": "1h"}}, Reason.EMPTY_RESULT),
        ("max_over_time(ended[1h]) > 9", Reason.EMPTY_RESULT),
        (f"ended offset {AGO - 60}s > 9", Reason.EMPTY_RESULT),
        ("up == 5 unless ended", Reason.EMPTY_RESULT),
    ],
)
async def test_a_series_that_ended_twenty_minutes_ago_is_absent(
    agent: Any, victoriametrics_server: VictoriaMetrics, item: Any, reason: Reason
) -> None:
    """Contract section 3: "a selector of it has no series at all: ``warning``/``series_absent``"."""
    victoriametrics_server.write(f'ended{{instance="a"}} 7 {round((time.time() - AGO) * 1000)}\n')
    victoriametrics_server.wait_until("count_over_time(ended[1h])")
    [outcome] = await agent.run(item)
    status = ItemStatus.WARNING if reason is Reason.SERIES_ABSENT else ItemStatus.NORMAL
    assert (outcome.status, outcome.reason) == (status, reason)
