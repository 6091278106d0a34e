"""Items with the same query share one request and are judged one by one; which items may share a call."""

from __future__ import annotations

from typing import Any

from candy_core import Item, ItemStatus, Outcome, Reason, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_promql import PROMETHEUS, MetricParams, MetricSettings, batch_key, dedup_key, open_executor
from candy_testbed import task_run

BODY = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {"instance": "a"}, "value": [1, "50"]}]},
}


def params(**written: Any) -> MetricParams:
    return params_reader.read({"query": "m", **written}, MetricParams)


async def run_batch(url: str, batch: list[MetricParams]) -> dict[int, Outcome]:
    items = [Item(index=7 + n, id=n, name="", params=each) for n, each in enumerate(batch)]
    found: dict[int, Outcome] = {}
    settings = params_reader.read({"url": url}, MetricSettings)
    async with open_executor(plugin_context("prometheus"), settings, PROMETHEUS) as executor:
        async for index, outcome in executor.run_batch(items, task_run()):
            assert index not in found
            found[index] = outcome
    return found


async def test_one_request_serves_items_with_thresholds_of_their_own(serve: Any) -> None:
    server = await serve(lambda peer: peer.answer(BODY))
    batch = [params(threshold="80"), params(threshold="10"), params(critical="10"), params(instance_label="job")]
    found = await run_batch(server.url, batch)
    assert [found[index].status for index in range(7, 11)] == [
        ItemStatus.NORMAL,
        ItemStatus.WARNING,
        ItemStatus.CRITICAL,
        ItemStatus.NORMAL,
    ]
    assert len(server.requests) == 1


async def test_one_failure_is_that_of_all_items(serve: Any) -> None:
    server = await serve(lambda peer: peer.answer("<html>", status="500 Oops"))
    found = await run_batch(server.url, [params(), params(threshold="1")])
    assert {index: outcome.reason for index, outcome in found.items()} == {
        7: Reason.BAD_RESPONSE,
        8: Reason.BAD_RESPONSE,
    }


async def test_one_explanation_of_an_empty_answer_is_for_all_and_each_item_has_its_own_no_data(serve: Any) -> None:
    stats = {"samples": {"totalQueryableSamples": 0, "peakSamples": 0}}
    body = {"status": "success", "data": {"resultType": "vector", "result": [], "stats": stats}}
    server = await serve(lambda peer: peer.answer(body))
    found = await run_batch(server.url, [params(), params(no_data="critical")])
    assert [found[7].status, found[8].status] == [ItemStatus.WARNING, ItemStatus.CRITICAL]
    assert {outcome.reason for outcome in found.values()} == {Reason.SERIES_ABSENT}
    assert len(server.requests) == 1


def test_only_items_with_the_same_query_and_range_share_it() -> None:
    assert query_key(params(threshold="1")) == query_key(params(critical="2", no_data="normal", instance_label="pod"))
    different = [
        params(),
        params(datasource="other"),
        params(range={"lookback": "5m"}),
        params(range={"lookback": "5m", "reduce": "max"}),
        params(query="n"),
    ]
    assert len({query_key(each) for each in different}) == len(different)
    assert query_key(params(range={"lookback": "5m"})) == query_key(params(range='{"lookback":"5m"}'))


def test_only_instant_vectors_of_one_datasource_share_a_call() -> None:
    assert batch_key(params()) == batch_key(params(query="n > 5", threshold="1"))
    separate = [
        params(),
        params(datasource="other"),
        params(range={"lookback": "5m"}),
        params(query="n", range={"lookback": "5m"}),
        params(query="1 + 1"),
        params(query="sort(n)"),
        params(query="n default 0"),
        params(query="n[5m]"),
    ]
    assert len({batch_key(each) for each in separate}) == len(separate)


def query_key(each: MetricParams) -> tuple[object, ...]:
    return (*batch_key(each), *dedup_key(each))
