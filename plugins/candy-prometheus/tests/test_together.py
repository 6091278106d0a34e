"""Questions asked together are answered as each of them is alone: on a real Prometheus, for whatever is asked."""

from __future__ import annotations

from typing import Any

from candy_testbed import Prometheus
from candy_testbed.together import any_questions, counted, differences, hundred_values


@any_questions
def test_every_item_is_answered_as_it_is_alone(
    open_agent: Any, prometheus_server: Prometheus, queries: list[str], threshold: str | None
) -> None:
    assert differences(open_agent, prometheus_server, queries, threshold) == []


def test_a_hundred_questions_are_a_few_requests(open_agent: Any, prometheus: str) -> None:
    before = requests_of(prometheus)
    assert hundred_values(open_agent, prometheus) == [str(number) for number in range(100)]
    assert 2 <= requests_of(prometheus) - before <= 4


def requests_of(url: str) -> float:
    """How many queries the server has answered, by its own count."""
    return counted(url, "prometheus_http_requests_total", 'handler="/api/v1/query"')
