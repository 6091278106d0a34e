"""The executor against a real Prometheus."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from candy_core import ItemStatus, Locale, Outcome, Reason
from candy_testbed import Prometheus, eventually
from candy_testbed.fixtures import required

NORMAL, WARNING, FAILED = ItemStatus.NORMAL, ItemStatus.WARNING, ItemStatus.FAILED


def verdict(outcome: Outcome) -> tuple[ItemStatus, str]:
    return outcome.status, outcome.reason


async def test_a_vector_is_judged_series_by_series(agent: Any) -> None:
    low, high = await agent.run({"query": "up", "threshold": "0.5"}, {"query": "up", "threshold": ">=2"})
    assert verdict(low) == (WARNING, Reason.THRESHOLD_EXCEEDED)
    assert low.value == "1"
    assert low.message.startswith("有 2 个节点超过阈值 0.50，最高值为 127.0.0.1:")
    assert low.details.startswith("Query: up\nResult Type: vector\n\n超过阈值的节点：\n127.0.0.1:")
    assert low.stats == {"series": 2, "exceeding": 2, "min": 1, "max": 1, "worst": 1}
    assert verdict(high) == (NORMAL, Reason.OK)
    assert high.message == "所有节点的值都在阈值 2.00 范围内"


async def test_the_cpu_query_of_the_contract_has_a_value(agent: Any) -> None:
    query = '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)'
    [outcome] = await agent.run({"query": query, "threshold": "1000"})
    assert verdict(outcome) == (NORMAL, Reason.OK)
    assert math.isfinite(float(outcome.value))


async def test_scalars_texts_and_range_vectors(agent: Any) -> None:
    scalar, text, matrix = await agent.run(
        {"query": "1.5 + 1", "threshold": "2"}, '"a text"', {"query": "up[5m]", "threshold": "2"}
    )
    assert (scalar.value, scalar.message) == ("2.5", "值 2.50 超过阈值 2.00")
    assert (*verdict(text), text.value) == (NORMAL, Reason.OK, "a text")
    assert (*verdict(matrix), matrix.value) == (NORMAL, Reason.OK, "1")


async def test_nan_and_infinity_as_a_real_server_makes_them(agent: Any) -> None:
    nan, infinite = await agent.run(
        {"query": "0 / (up * 0)", "threshold": "80"}, {"query": "1 / (up * 0)", "threshold": "80"}
    )
    assert (*verdict(nan), nan.value) == (WARNING, Reason.NOT_A_NUMBER, "NaN")
    assert (*verdict(infinite), infinite.value) == (WARNING, Reason.THRESHOLD_EXCEEDED, "+Inf")


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        # Series were read, and none passed the query's own filter.
        ("up == 5", NORMAL, Reason.EMPTY_RESULT),
        ("up > 5 and up < 6", NORMAL, Reason.EMPTY_RESULT),
        ("up unless up", NORMAL, Reason.EMPTY_RESULT),
        ("sum(up) > 100", NORMAL, Reason.EMPTY_RESULT),
        ("absent(up)", NORMAL, Reason.EMPTY_RESULT),
        ("rate(node_cpu_seconds_total[5m]) > 100", NORMAL, Reason.EMPTY_RESULT),
        ("max_over_time((up == 5)[10s:1s])", NORMAL, Reason.EMPTY_RESULT),
        ('up == 5 or node_load1{job=~"n.de"} > 1e9', NORMAL, Reason.EMPTY_RESULT),
        # The query selects no series.
        ("vector(1) > 5", NORMAL, Reason.EMPTY_RESULT),
        ("vector(time()) < 5", NORMAL, Reason.EMPTY_RESULT),
        # No series is the desired state of the other operand.
        ("up == 5 unless gone", NORMAL, Reason.EMPTY_RESULT),
        ("absent(up) and absent(gone)", NORMAL, Reason.EMPTY_RESULT),
        # One of its selectors has no series at all.
        ("gone", WARNING, Reason.SERIES_ABSENT),
        ("sum(gone)", WARNING, Reason.SERIES_ABSENT),
        ("gone > 5", WARNING, Reason.SERIES_ABSENT),
        ("up + gone", WARNING, Reason.SERIES_ABSENT),
        ("up and gone", WARNING, Reason.SERIES_ABSENT),
        ("up == 5 or gone", WARNING, Reason.SERIES_ABSENT),
        ("gone / up > 0.5", WARNING, Reason.SERIES_ABSENT),
        ("up offset 1d", WARNING, Reason.SERIES_ABSENT),
        ("up @ 1500000000", WARNING, Reason.SERIES_ABSENT),
        ('up{job="gone"}', WARNING, Reason.SERIES_ABSENT),
        ("rate(gone[5m])", WARNING, Reason.SERIES_ABSENT),
        ("max_over_time((gone == 5)[10s:1s])", WARNING, Reason.SERIES_ABSENT),
        ("gone unless up", WARNING, Reason.SERIES_ABSENT),
        # Series were read, and no filter could have dropped them.
        ("histogram_quantile(0.9, up)", WARNING, Reason.EMPTY_RESULT),
        ("up * on(job, nodename) node_uname_info", WARNING, Reason.EMPTY_RESULT),
    ],
)
async def test_an_empty_answer_says_why_it_is_empty(agent: Any, query: str, status: ItemStatus, reason: Reason) -> None:
    """Contract section 3: "series were read and none passed the query's own filter"."""
    [outcome, overridden, ranged] = await agent.run(
        query, {"query": query, "no_data": "failed"}, {"query": query, "range": {"lookback": "5s", "step": "1s"}}
    )
    assert verdict(outcome) == (status, reason)
    assert (outcome.value, outcome.stats) == ("", {"series": 0, "exceeding": 0})
    assert outcome.message
    assert verdict(overridden) == (FAILED, reason)
    if "absent" not in query:  # there was a time before the first scrape
        assert verdict(ranged) == (status, reason)


async def test_the_sentence_names_the_selectors_without_series(agent: Any) -> None:
    [outcome] = await agent.run('up + on() gone{a="b"} + rate(gone[1m]) + up', locale=Locale.EN)
    assert outcome.message == 'no series at all for gone{a="b"}, gone'


@pytest.mark.parametrize("query", ["up{", "rate(up)", "sum(", "up[5m", 'label_replace(up, "a", "b", "c", "(")', "\x00"])
async def test_a_query_that_the_server_rejects_shows_the_servers_error(agent: Any, query: str) -> None:
    [outcome] = await agent.run(query)
    assert verdict(outcome) == (FAILED, Reason.QUERY_REJECTED)
    assert outcome.details.startswith(f"Query: {query}\nError: ")
    assert len(outcome.details) > len(query) + 20


async def test_every_query_is_evaluated_at_the_tasks_instant(agent: Any, prometheus_server: Prometheus) -> None:
    """Contract section 2: "All metric queries of one task are evaluated at one instant, the task's start"."""
    instant = time.time() - 0.5
    found = await agent.run(
        *["time()"] * 5, "vector(time())", {"query": "time()", "range": {"lookback": "1m"}}, time_=instant
    )
    assert {round(float(outcome.value), 3) for outcome in found} == {round(instant, 3)}


async def test_a_range_has_the_values_of_its_instants(agent: Any, prometheus_server: Prometheus) -> None:
    query = "sum(prometheus_http_requests_total)"
    prometheus_server.wait_until("prometheus_http_requests_total offset 3s")
    instant = time.time()
    # What was scraped by then is stored once there is a later sample; a busy server takes its time.
    prometheus_server.wait_until(f"timestamp(prometheus_http_requests_total) > {instant}")
    instants = [instant - 2, instant - 1, instant]
    points = [float(outcome.value) for each in instants for outcome in await agent.run(query, time_=each)]
    expected = {
        "last": points[-1],
        "min": min(points),
        "max": max(points),
        "sum": sum(points),
        "avg": sum(points) / 3,
        "count": 3,
    }
    ranges = [{"lookback": "2s", "step": "1s", "reduce": reduce} for reduce in expected]
    found = await agent.run(*({"query": query, "range": each} for each in ranges), time_=instant)
    assert [float(outcome.value) for outcome in found] == pytest.approx(list(expected.values()))


async def test_a_query_with_many_lines_and_scripts_is_sent_unchanged(agent: Any) -> None:
    query = 'label_replace(\n  vector(7),\n  "instance", "节点 & =+%", "", ""\n)  # a comment'
    [outcome] = await agent.run({"query": query, "threshold": "5"})
    assert outcome.message == "节点 节点 & =+% 的值 7.00 超过阈值 5.00"


async def test_more_samples_than_the_server_allows_is_a_rejected_query(open_agent: Any, prometheus: str) -> None:
    with required(Prometheus(arguments=["--query.max-samples=10"])) as server:
        async with open_agent(url=server.url) as agent:
            server.wait_until("up")
            [outcome] = await agent.run("count({__name__=~'.+'})")
    assert verdict(outcome) == (FAILED, Reason.QUERY_REJECTED)
    assert "too many samples" in outcome.details


async def test_a_frozen_server_is_a_timeout_and_a_killed_one_unreachable(open_agent: Any) -> None:
    with required(Prometheus()) as server:
        async with open_agent(url=server.url, timeout="3") as agent:
            assert (await agent.health()).ok
            server.pause()

            async def no_answer() -> Outcome | None:  # a signal takes its time
                [outcome] = await agent.run("1")
                return None if verdict(outcome) == (NORMAL, Reason.OK) else outcome

            frozen = await eventually(no_answer)
            server.resume()
            [thawed] = await agent.run("1")
            server.kill()
            [killed] = await agent.run("1")
            health = await agent.health()
    assert verdict(frozen) == (FAILED, Reason.TIMEOUT)
    assert verdict(thawed) == (NORMAL, Reason.OK)
    assert verdict(killed) == (FAILED, Reason.UNREACHABLE)
    assert not health.ok
    assert "default" in health.detail


async def test_two_thousand_concurrent_queries_each_get_their_answer(agent: Any) -> None:
    found = await agent.run(*(f"vector({number})" for number in range(2000)))
    assert [outcome.value for outcome in found] == [str(number) for number in range(2000)]
