"""The outcome of a well-formed answer of each kind (contract section 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from candy_core import ItemStatus, Locale, Outcome, Reason


def result(kind: str, value: object, **more: object) -> dict[str, object]:
    return {"status": "success", "data": {"resultType": kind, "result": value}, **more}


def series(value: str, **labels: str) -> dict[str, object]:
    return {"metric": {"__name__": "m", **labels}, "value": [1700000000, value]}


async def found(serve: Any, run_items: Any, body: object, locale: Locale = Locale.ZH_CN, **params: Any) -> Outcome:
    server = await serve(lambda peer: peer.answer(body))
    [outcome] = await run_items(server.url, {"query": "m", **params}, locale=locale)
    assert isinstance(outcome, Outcome)
    return outcome


def verdict(outcome: Outcome) -> tuple[ItemStatus, str]:
    return outcome.status, outcome.reason


async def test_the_example_of_the_contract(serve: Any, run_items: Any) -> None:
    """Contract section 2, "Result object": worst first, and ``value`` is the first series' own text."""
    body = result(
        "vector",
        [
            series("45.2", instance="node-00"),
            series("95.784", instance="node-01"),
            series("82.6391", instance="node-07"),
            series("85.21", instance="node-03"),
        ],
    )
    outcome = await found(serve, run_items, body, threshold="80")
    assert verdict(outcome) == (ItemStatus.WARNING, Reason.THRESHOLD_EXCEEDED)
    assert outcome.value == "45.2"
    assert outcome.message == "有 3 个节点超过阈值 80.00，最高值为 node-01 的 95.78"
    assert outcome.details == (
        "Query: m\nResult Type: vector\n\n超过阈值的节点：\nnode-01 (95.78)\nnode-03 (85.21)\nnode-07 (82.64)"
    )
    assert outcome.stats == {"series": 4, "exceeding": 3, "min": 45.2, "max": 95.784, "worst": 95.784}


async def test_every_series_is_compared_also_those_that_share_an_instance(serve: Any, run_items: Any) -> None:
    body = result("vector", [series("1", instance="a", cpu="0"), series("99", instance="a", cpu="1")])
    outcome = await found(serve, run_items, body, threshold="0.5")
    assert outcome.details.endswith("\na (99.00)\na (1.00)")
    assert outcome.stats["exceeding"] == 2


async def test_a_series_without_an_instance_is_named_by_its_other_labels(serve: Any, run_items: Any) -> None:
    """Contract section 3: "The instance is the label ``instance``, else the remaining labels in sorted order"."""
    outcome = await found(serve, run_items, result("vector", [series("9", mode="idle", cpu="0")]), threshold="1")
    assert outcome.message == "节点 cpu=0, mode=idle 的值 9.00 超过阈值 1.00"


async def test_another_label_can_name_the_series(serve: Any, run_items: Any) -> None:
    body = result("vector", [series("9", instance="a", pod="web-0"), series("8", instance="b")])
    outcome = await found(serve, run_items, body, threshold="1", instance_label="pod")
    assert outcome.details.endswith("\nweb-0 (9.00)\ninstance=b (8.00)")


async def test_a_scalar_has_the_scalars_sentences(serve: Any, run_items: Any) -> None:
    outcome = await found(serve, run_items, result("scalar", [1700000000, "3.14159"]), threshold="3")
    assert (outcome.value, outcome.message) == ("3.14159", "值 3.14 超过阈值 3.00")
    outcome = await found(serve, run_items, result("scalar", [1700000000, "3.14159"]), threshold="4")
    assert (outcome.value, outcome.message) == ("3.14159", "值 3.14 在阈值 4.00 范围内")


async def test_a_text_is_a_value_but_not_a_number(serve: Any, run_items: Any) -> None:
    body = result("string", [1700000000, "12"])
    outcome = await found(serve, run_items, body)
    assert (*verdict(outcome), outcome.value, outcome.message) == (ItemStatus.NORMAL, Reason.OK, "12", "")
    outcome = await found(serve, run_items, body, threshold="80")
    assert verdict(outcome) == (ItemStatus.WARNING, Reason.NOT_A_NUMBER)
    assert outcome.message == "结果是文本，无法与阈值比较"


async def test_a_matrix_is_judged_by_its_last_points(serve: Any, run_items: Any) -> None:
    body = result("matrix", [{"metric": {"instance": "a"}, "values": [[1, "100"], [2, "7"]]}])
    outcome = await found(serve, run_items, body, threshold="80")
    assert (*verdict(outcome), outcome.value) == (ItemStatus.NORMAL, Reason.OK, "7")
    assert outcome.details == "Query: m\nResult Type: matrix"


@pytest.mark.parametrize("threshold", ["80", "<10", "!=0", "0:10", "@0:10", None])
async def test_nan_is_within_no_threshold(serve: Any, run_items: Any, threshold: str | None) -> None:
    """Contract section 3: "NaN never counts as within a threshold"."""
    outcome = await found(serve, run_items, result("vector", [series("NaN", instance="a")]), threshold=threshold)
    assert verdict(outcome) == (ItemStatus.WARNING, Reason.NOT_A_NUMBER)
    assert outcome.value == "NaN"


@pytest.mark.parametrize(
    ("text", "threshold", "status"),
    [
        ("+Inf", "80", ItemStatus.WARNING),
        ("-Inf", "80", ItemStatus.NORMAL),
        ("-Inf", "<10", ItemStatus.WARNING),
        ("+Inf", "<10", ItemStatus.NORMAL),
    ],
)
async def test_infinities_compare_as_numbers(
    serve: Any, run_items: Any, text: str, threshold: str, status: ItemStatus
) -> None:
    """Contract section 3: "±Inf compare as numbers"."""
    outcome = await found(serve, run_items, result("vector", [series(text, instance="a")]), threshold=threshold)
    assert (outcome.status, outcome.value) == (status, text)


async def test_a_native_histogram_is_not_a_number_and_the_details_say_what_to_query_instead(
    serve: Any, run_items: Any
) -> None:
    point = [1, {"count": "10", "sum": "3.5", "buckets": [[0, "1", "2", "10"]]}]
    body = result("vector", [{"metric": {"instance": "a"}, "histogram": point}, series("5", instance="b")])
    outcome = await found(serve, run_items, body, Locale.EN, threshold="80")
    assert verdict(outcome) == (ItemStatus.WARNING, Reason.NOT_A_NUMBER)
    assert outcome.value == "histogram(count=10, sum=3.5)"
    assert "1 native histograms, which are not numbers: query a number of each" in outcome.details


@pytest.mark.parametrize("more", [{"warnings": ["shard 2 is away"]}, {"isPartial": True}])
@pytest.mark.parametrize("value", [[series("5", instance="a")], []])
async def test_a_partial_answer_is_never_normal(
    serve: Any, run_items: Any, more: dict[str, object], value: list[object]
) -> None:
    """Contract section 3: "A partial answer is ``partial_response`` and never ``normal``"."""
    outcome = await found(
        serve, run_items, result("vector", value, **more), Locale.EN, threshold="80", no_data="normal"
    )
    assert verdict(outcome) == (ItemStatus.WARNING, Reason.PARTIAL_RESPONSE)
    if "warnings" in more:
        assert "shard 2 is away" in outcome.message


async def test_a_partial_answer_may_still_exceed(serve: Any, run_items: Any) -> None:
    body = result("vector", [series("95", instance="a")], isPartial=True)
    outcome = await found(serve, run_items, body, threshold="10", critical="90")
    assert verdict(outcome) == (ItemStatus.CRITICAL, Reason.PARTIAL_RESPONSE)


async def test_the_servers_advice_does_not_make_an_answer_partial(serve: Any, run_items: Any) -> None:
    body = result("vector", [series("5", instance="a")], infos=["metric might not be a counter"], warnings=None)
    assert verdict(await found(serve, run_items, body, threshold="80")) == (ItemStatus.NORMAL, Reason.OK)


POINTS = [[1, "2"], [2, "8.50"], [3, "5"]]


@pytest.mark.parametrize(
    ("reduce", "value"),
    [("last", "5"), ("min", "2"), ("max", "8.50"), ("sum", "15.5"), ("avg", "5.166666666666667"), ("count", "3")],
)
async def test_a_range_is_reduced_to_one_value_for_each_series(
    serve: Any, run_items: Any, reduce: str, value: str
) -> None:
    server = await serve(lambda peer: peer.answer(result("matrix", [{"metric": {"instance": "a"}, "values": POINTS}])))
    params = {"query": "m", "range": json.dumps({"lookback": "5m", "step": "15s", "reduce": reduce})}
    [outcome] = await run_items(server.url, params, time=1700000000.0)
    assert (outcome.status, outcome.value) == (ItemStatus.NORMAL, value)
    assert outcome.details == f"Query: m\nResult Type: matrix\nRange: 5m, step 15s, {reduce}"
    [request] = server.requests
    assert request.line.startswith("POST /api/v1/query_range ")
    assert request.body == b"query=m&start=1699999700.000&end=1700000000.000&step=15.000&stats=all"


@pytest.mark.parametrize("reduce", ["min", "max", "sum", "avg"])
async def test_nan_among_the_points_makes_the_computed_value_nan(serve: Any, run_items: Any, reduce: str) -> None:
    body = result("matrix", [{"metric": {"instance": "a"}, "values": [*POINTS, [4, "NaN"], [5, "1"]]}])
    range_ = {"lookback": "5m", "reduce": reduce}
    assert verdict(await found(serve, run_items, body, range=range_, threshold="1000")) == (
        ItemStatus.WARNING,
        Reason.NOT_A_NUMBER,
    )
