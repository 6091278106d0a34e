"""Batched queries have the outcomes of individual ones: on a real VictoriaMetrics, for random queries."""

from __future__ import annotations

from typing import Any

from candy_testbed import VictoriaMetrics
from candy_testbed.together import any_questions, counted, differences, hundred_values


@any_questions
def test_batched_items_have_the_outcomes_of_individual_ones(
    open_agent: Any, victoriametrics_server: VictoriaMetrics, queries: list[str], threshold: str | None
) -> None:
    assert differences(open_agent, victoriametrics_server, queries, threshold) == []


def test_a_hundred_queries_are_a_few_requests(open_agent: Any, victoriametrics: str) -> None:
    before = requests_of(victoriametrics)
    assert hundred_values(open_agent, victoriametrics) == [str(number) for number in range(100)]
    assert 2 <= requests_of(victoriametrics) - before <= 4


def requests_of(url: str) -> float:
    """How many queries the server has answered until now, by its own count."""
    return counted(url, "vm_http_requests_total", 'path="/api/v1/query"', "vm_app_uptime_seconds")
