"""Difficult queries and values, batched and individual: on a real VictoriaMetrics."""

from __future__ import annotations

import time
from typing import Any

import pytest

from candy_testbed import VictoriaMetrics
from candy_testbed.hard_queries import NUMBERS, QUERIES
from candy_testbed.together import differences


@pytest.mark.parametrize("threshold", [None, "80", "!=0", "@0:5"])
def test_batched_difficult_queries_have_the_outcomes_of_individual_ones(
    open_agent: Any, victoriametrics_server: VictoriaMetrics, threshold: str | None
) -> None:
    assert differences(open_agent, victoriametrics_server, list(QUERIES), threshold) == []


async def test_a_value_is_the_servers_own_text_batched_or_not(
    agent: Any, victoriametrics_server: VictoriaMetrics
) -> None:
    """Contract section 3: "`value` is the backend's own text, not rounded: the first series' …"."""
    queries = [f"vector({number})" for number in NUMBERS]
    vectors = [victoriametrics_server.query(query) for query in queries]
    texts = [found[0]["value"][1] if found else "" for found in vectors]  # NaN is an empty vector
    batched = await agent.run_together(*queries, time_=time.time())
    scalars = await agent.run(*NUMBERS)
    assert [outcome.value for outcome in batched] == texts
    assert [outcome.value for outcome in scalars] == texts
