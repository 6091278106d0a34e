"""The executor against a real VictoriaMetrics, of a version that reports no counts."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from candy_core import ItemStatus, Locale, Outcome, Reason
from candy_testbed import VictoriaMetrics, eventually
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
    assert (*verdict(high), high.message) == (NORMAL, Reason.OK, "所有节点的值都在阈值 2.00 范围内")


async def test_the_memory_query_of_the_contract_has_a_value(agent: Any) -> None:
    query = "100 * (1 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes))"
    [outcome] = await agent.run({"query": query, "threshold": "1000"})
    assert verdict(outcome) == (NORMAL, Reason.OK)
    assert math.isfinite(float(outcome.value))


async def test_imported_samples_are_found_with_their_labels(
    agent: Any, victoriametrics_server: VictoriaMetrics
) -> None:
    victoriametrics_server.write('imported{instance="节点 \\"1\\"",zone="a"} 81.5\nimported{zone="b"} 7\n')
    victoriametrics_server.wait_until("imported", lambda found: len(found) == 2)
    [outcome] = await agent.run({"query": "imported", "threshold": "80"})
    assert outcome.message == '节点 节点 "1" 的值 81.50 超过阈值 80.00'
    assert outcome.stats["series"] == 2


async def test_the_last_seconds_are_seen(agent: Any) -> None:
    """Contract section 3: "asked with ``nocache=1``: at ``time=now`` it otherwise hides the last seconds"."""
    [outcome] = await agent.run("time() - timestamp(up{job='node'})")
    assert 0 <= float(outcome.value) < 10


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("gone default 7", "7"),
        ("WITH (x = node_memory_MemTotal_bytes) x / x", "1"),
        ("count(rate(node_cpu_seconds_total)) > bool 0", "1"),
        ('label_set(3, "instance", "a")', "3"),
        ("1 + 1", "2"),
        ("range_max(up{job='node'})", "1"),
    ],
)
async def test_metricsql_is_sent_unchanged(agent: Any, query: str, value: str) -> None:
    [outcome] = await agent.run({"query": query, "threshold": "100"})
    assert (*verdict(outcome), outcome.value) == (NORMAL, Reason.OK, value)


async def test_nan_is_an_empty_result_and_infinity_is_a_number(agent: Any) -> None:
    nan, infinite = await agent.run(
        {"query": "0 / (up * 0)", "threshold": "80"}, {"query": "1 / (up * 0)", "threshold": "80"}
    )
    assert (*verdict(nan), nan.value) == (WARNING, Reason.EMPTY_RESULT, "")
    assert (*verdict(infinite), infinite.value) == (WARNING, Reason.THRESHOLD_EXCEEDED, "+Inf")


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("up == 5", NORMAL, Reason.EMPTY_RESULT),
        ("up > 5 and up < 6", NORMAL, Reason.EMPTY_RESULT),
        ("up unless up", NORMAL, Reason.EMPTY_RESULT),
        ("sum(up) > 100", NORMAL, Reason.EMPTY_RESULT),
        ("absent(up)", NORMAL, Reason.EMPTY_RESULT),
        ("rate(node_cpu_seconds_total[5m]) > 100", NORMAL, Reason.EMPTY_RESULT),
        ("vector(1) > 5", NORMAL, Reason.EMPTY_RESULT),
        ("up == 5 unless gone", NORMAL, Reason.EMPTY_RESULT),
        ("gone", WARNING, Reason.SERIES_ABSENT),
        ("gone > 5", WARNING, Reason.SERIES_ABSENT),
        ("up + gone", WARNING, Reason.SERIES_ABSENT),
        ("up == 5 or gone", WARNING, Reason.SERIES_ABSENT),
        ('up{job="gone"}', WARNING, Reason.SERIES_ABSENT),
        ("up offset 3d", WARNING, Reason.SERIES_ABSENT),
        ("rate(gone[5m])", WARNING, Reason.SERIES_ABSENT),
        ("histogram_quantile(0.9, up)", WARNING, Reason.EMPTY_RESULT),
        # The selectors of MetricsQL are unknown, and this version does not report how much it read.
        ("sum(rate(gone))", WARNING, Reason.EMPTY_RESULT),
    ],
)
async def test_an_empty_answer_says_why_it_is_empty(agent: Any, query: str, status: ItemStatus, reason: Reason) -> None:
    """Contract section 3: "where a server tells no counts …, each selector is asked for once …"."""
    [outcome] = await agent.run(query)
    assert verdict(outcome) == (status, reason)
    assert outcome.message
    assert (outcome.value, outcome.stats) == ("", {"series": 0, "exceeding": 0})


async def test_the_sentence_names_the_selectors_without_series(agent: Any) -> None:
    [outcome] = await agent.run('up + on() gone{a="b"} + rate(gone[1m]) + up', locale=Locale.EN)
    assert outcome.message == 'no series at all for gone{a="b"}, gone'


@pytest.mark.parametrize("query", ["up{", "sum(", "nope(up)", "up[5m", "up ==== 5"])
async def test_a_query_that_the_server_rejects_shows_the_servers_error(agent: Any, query: str) -> None:
    [outcome] = await agent.run(query)
    assert verdict(outcome) == (FAILED, Reason.QUERY_REJECTED)
    assert outcome.details.startswith(f"Query: {query}\nError: ")
    assert len(outcome.details) > len(query) + 20


async def test_a_query_longer_than_the_server_accepts_is_rejected(agent: Any) -> None:
    [outcome] = await agent.run(" + ".join(["up"] * 6000))
    assert verdict(outcome) == (FAILED, Reason.QUERY_REJECTED)
    assert "-search.maxQueryLen=16384" in outcome.details


async def test_two_thousand_concurrent_queries_each_get_their_answer(agent: Any) -> None:
    queries = [f"vector({number})" for number in range(2000)]
    found = await agent.run_together(*queries, time_=time.time())
    assert [outcome.value for outcome in found] == [str(number) for number in range(2000)]


async def test_every_query_is_evaluated_at_the_tasks_instant(agent: Any) -> None:
    """Contract section 2: "All metric queries of one task are evaluated at one instant, the task's start"."""
    instant = time.time() - 0.5
    found = await agent.run(*["time()"] * 3, "vector(time())", time_=instant)
    assert {round(float(outcome.value), 3) for outcome in found} == {round(instant, 3)}


async def test_a_range_is_judged_by_one_value_for_each_series(agent: Any) -> None:
    range_ = {"lookback": "2m", "step": "1m", "reduce": "max"}
    [outcome] = await agent.run({"query": "count(up)", "range": range_})
    assert (*verdict(outcome), outcome.value) == (NORMAL, Reason.OK, "2")


async def test_a_frozen_server_is_a_timeout_and_a_killed_one_unreachable(open_agent: Any) -> None:
    with required(VictoriaMetrics(itself=False)) as server:
        async with open_agent(url=server.url, timeout="3") as agent:
            assert (await agent.health()).ok
            server.pause()

            async def no_answer() -> Outcome | None:  # a signal takes its time
                [outcome] = await agent.run("1")
                return None if verdict(outcome) == (NORMAL, Reason.OK) else outcome

            frozen = await eventually(no_answer)
            server.resume()
            server.kill()
            [killed] = await agent.run("1")
    assert verdict(frozen) == (FAILED, Reason.TIMEOUT)
    assert verdict(killed) == (FAILED, Reason.UNREACHABLE)
