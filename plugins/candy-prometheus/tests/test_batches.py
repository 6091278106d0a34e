"""Batched queries have the outcomes of individual ones: on a real Prometheus, for random queries."""

from __future__ import annotations

from typing import Any

from candy_testbed import Prometheus
from candy_testbed.together import any_questions, counted, differences, hundred_values


@any_questions
def test_batched_items_have_the_outcomes_of_individual_ones(
    open_agent: Any, prometheus_server: Prometheus, queries: list[str], threshold: str | None
) -> None:
    assert differences(open_agent, prometheus_server, queries, threshold) == []


def test_a_hundred_queries_are_a_few_requests(open_agent: Any, prometheus: str) -> None:
    before = requests_of(prometheus)
    assert hundred_values(open_agent, prometheus) == [str(number) for number in range(100)]
    assert 2 <= requests_of(prometheus) - before <= 4


def requests_of(url: str) -> float:
    """How many queries the server has answered, by its own count."""
    return counted(url, "prometheus_http_requests_total", 'handler="/api/v1/query"')
