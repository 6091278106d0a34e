"""Difficult queries and values, batched and individual: on a real Prometheus."""

from __future__ import annotations

import time
from typing import Any

import pytest

from candy_testbed import Prometheus
from candy_testbed.hard_queries import NUMBERS, QUERIES
from candy_testbed.together import differences


@pytest.mark.parametrize("threshold", [None, "80", "!=0", "@0:5"])
def test_batched_difficult_queries_have_the_outcomes_of_individual_ones(
    open_agent: Any, prometheus_server: Prometheus, threshold: str | None
) -> None:
    assert differences(open_agent, prometheus_server, list(QUERIES), threshold) == []


async def test_a_value_is_the_servers_own_text_batched_or_not(agent: Any, prometheus_server: Prometheus) -> None:
    """Contract section 3: "`value` is the backend's own text, not rounded: the first series' …, a scalar's"."""
    queries = [f"vector({number})" for number in NUMBERS]
    texts = [prometheus_server.query(query)[0]["value"][1] for query in queries]
    batched = await agent.run_together(*queries, time_=time.time())
    scalars = await agent.run(*NUMBERS)
    assert [outcome.value for outcome in batched] == texts
    # A scalar is formatted differently (1e308 with all its digits).
    expected: list[Any] = [prometheus_server.query(number)[1] for number in NUMBERS]
    assert [outcome.value for outcome in scalars] == expected
