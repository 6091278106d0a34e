"""What the contract promises of metric items, through the whole agent: Prometheus, VictoriaMetrics, many at once."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from candy_testbed import Prometheus, eventually
from candy_testbed.fixtures import required
from candy_testbed.running_agent import RunningAgent, StartAgent


def node(value: str, **labels: str) -> str:
    """A series of PromQL's own making."""
    expression = f"vector({value})"
    for name, text in labels.items():
        expression = f'label_replace({expression},"{name}","{text}","","")'
    return expression


NODES = " or ".join(
    (node("45.2", instance="node-00"), node("95.784", instance="node-01", cpu="0"), node("7", cpu="0", mode="idle"))
)
SHARED = f"{node('85', instance='a', cpu='0')} or {node('99', instance='a', cpu='1')} or {node('1', instance='b')}"


def items(*params: dict[str, str], kind: str = "prometheus") -> list[dict[str, Any]]:
    return [{"id": number, "type": kind, "params": each} for number, each in enumerate(params)]


async def waited_for(agent: RunningAgent, task_id: str, event: str) -> None:
    """Until the task's log has the event."""

    async def there() -> bool:
        return event in {entry["event"] for entry in (await agent.get(f"/api/v1/tasks/{task_id}/logs"))["entries"]}

    await eventually(there)


async def test_all_queries_of_a_task_see_its_start_also_in_a_range_a_batch_and_a_retry(
    start_agent: StartAgent, victoriametrics: str
) -> None:
    """Contract §2: "All metric queries of one task are evaluated at one instant, the task's start, so that its results
    agree with each other; a retry and a takeover by another replica keep that instant"."""
    queries: list[dict[str, Any]] = [
        {"query": "time()"},
        {"query": "vector(time())"},
        {"query": "time()", "range": {"lookback": "100s"}},
        {"query": "vector(time())", "range": '{"lookback": "3s", "step": "2s"}'},
        *({"query": f"vector(time()) + {number} - {number}"} for number in range(120)),
    ]
    asked = [
        {"id": f"{kind}-{number}", "type": kind, "params": params, "retries": 10}
        for kind in ("prometheus", "vm")
        for number, params in enumerate(queries)
    ]
    with required(Prometheus(itself=False)) as server:
        async with start_agent(
            CANDY_PROMETHEUS_URL=server.url, CANDY_PROMETHEUS_TIMEOUT="0.5", CANDY_VICTORIAMETRICS_URL=victoriametrics
        ) as agent:
            server.pause()
            status, state = await agent.post("/api/v1/task", {"task_id": "t", "items": asked})
            assert status == 202, state
            await waited_for(agent, "t", "item_retry")
            server.resume()
            document = await agent.result("t")
    assert {result["reason"] for result in document["results"]} == {"ok"}
    [instant] = {float(result["value"]) for result in document["results"]}
    assert instant == pytest.approx(datetime.fromisoformat(document["start_time"]).timestamp(), abs=0.002)


JUDGED: list[tuple[dict[str, str], str, str, str, str]] = [
    # params, status, value, message, the rest of details
    ({"query": NODES}, "normal", "45.2", "", ""),
    ({"query": NODES, "threshold": "100"}, "normal", "45.2", "所有节点的值都在阈值 100.00 范围内", ""),
    (
        {"query": NODES, "threshold": "80"},
        "warning",
        "45.2",
        "节点 node-01 的值 95.78 超过阈值 80.00",
        "\n\n超过阈值的节点：\nnode-01 (95.78)",
    ),
    (
        {"query": NODES, "threshold": "80", "critical": ">=45.2"},
        "critical",
        "45.2",
        "有 2 个节点超过阈值 45.20，最高值为 node-01 的 95.78",
        "\n\n超过阈值的节点：\nnode-01 (95.78)\nnode-00 (45.20)",
    ),
    (
        {"query": NODES, "threshold": "<50"},
        "warning",
        "45.2",
        "有 2 个节点低于阈值 50.00，最低值为 cpu=0, mode=idle 的 7.00",
        "\n\n低于阈值的节点：\ncpu=0, mode=idle (7.00)\nnode-00 (45.20)",
    ),
    (
        {"query": NODES, "threshold": "!=7", "instance_label": "cpu"},
        "warning",
        "45.2",
        "有 2 个节点超过阈值 !=7，最高值为 0 的 95.78",
        "\n\n超过阈值的节点：\n0 (95.78)\ninstance=node-00 (45.20)",
    ),
    (
        {"query": SHARED, "threshold": "80"},
        "warning",
        "85",
        "有 2 个节点超过阈值 80.00，最高值为 a 的 99.00",
        "\n\n超过阈值的节点：\na (99.00)\na (85.00)",
    ),
    ({"query": "vector(81.456)", "threshold": "80"}, "warning", "81.456", "值 81.46 超过阈值 80.00", ""),
]
"""Contract §3's sentences, of items that ask the same and do not, with all that may differ between them."""


@pytest.mark.parametrize("kind", ["prometheus", "victoriaMetrics"])
async def test_items_in_one_request_are_each_judged_by_their_own_params(
    start_agent: StartAgent, prometheus: str, victoriametrics: str, kind: str
) -> None:
    """Contract §3: "Every series is compared"; "`value` … the first series'"; the sentences; "`details`: `Query: …`,
    newline, `Result Type: …`"; "The instance is the label `instance`, else the remaining labels in sorted order
    (`cpu=0, mode=idle`). Series that share an instance stay apart"."""
    async with start_agent(CANDY_PROMETHEUS_URL=prometheus, CANDY_VICTORIAMETRICS_URL=victoriametrics) as agent:
        document = await agent.run({"items": items(*(case[0] for case in JUDGED), kind=kind)})
    for result, (params, status, value, message, listed) in zip(document["results"], JUDGED, strict=True):
        assert (result["status"], result["message"]) == (status, message), params
        assert result["details"].startswith(f"Query: {params['query']}\nResult Type: vector{listed}"), params
        if kind == "prometheus":  # the other's order of `or` is its own
            assert result["value"] == value, params


@pytest.mark.parametrize("kind", ["prometheus", "victoriaMetrics"])
async def test_no_data_is_each_items_own_status_of_an_empty_answer(
    start_agent: StartAgent, prometheus: str, victoriametrics: str, kind: str
) -> None:
    """Contract §3: "`no_data` overrides the status of all of these"; `value` is `""` when there is none."""
    empty = {"up == 5": ("normal", "empty_result"), "gone": ("warning", "series_absent")}
    cases = [(query, no_data) for query in empty for no_data in (None, "normal", "warning", "critical", "failed")]
    asked = items(*({"query": q} | ({"no_data": n} if n else {}) for q, n in cases), {"query": "up"}, kind=kind)
    async with start_agent(CANDY_PROMETHEUS_URL=prometheus, CANDY_VICTORIAMETRICS_URL=victoriametrics) as agent:
        results = (await agent.run({"items": asked}))["results"]
    for result, (query, no_data) in zip(results[:-1], cases, strict=True):
        status, reason = empty[query]
        assert (result["status"], result["reason"], result["value"]) == (no_data or status, reason, "")
        assert result["stats"] == {"series": 0, "exceeding": 0}
    assert (results[-1]["status"], results[-1]["value"]) == ("normal", "1")


async def test_an_address_is_never_taken_from_a_request(start_agent: StartAgent, prometheus: str) -> None:
    """Contract §3: "a named one from the configuration; its URL is never taken from a request"."""
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    listener = await asyncio.start_server(count, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    asked = items(
        {"query": "up", "datasource": address},
        {"query": "up", "url": address},
        {"query": "up", "datasource": f'{{"url": "{address}"}}'},
        {"query": f'up{{a="{address}"}}'},
        {"query": "up", "datasource": "default"},
    )
    async with listener, start_agent(CANDY_PROMETHEUS_URL=prometheus) as agent:
        results = (await agent.run({"items": asked, "locale": "en"}))["results"]
    assert [result["reason"] for result in results] == ["bad_params"] * 3 + ["series_absent", "ok"]
    assert results[0]["message"] == "params.datasource: expected one of: default"
    assert connections == 0


async def test_an_item_with_little_time_does_not_wait_for_its_neighbours(
    start_agent: StartAgent, prometheus: str
) -> None:
    """Contract §2: "from the item's own start; at most the task's"."""
    heavy = 'count_over_time((sum({__name__=~".+"}) > 0)[1h:1ms])'
    light: list[dict[str, Any]] = [
        {"id": f"light-{number}", "type": "prometheus", "params": {"query": f"vector({number})"}, "timeout": 30}
        for number in range(40)
    ]
    asked = [{"id": "heavy", "type": "prometheus", "params": {"query": heavy}, "timeout": 300}, *light]
    settings = {"CANDY_PROMETHEUS_URL": prometheus, "CANDY_PROMETHEUS_TIMEOUT": "300"}
    async with start_agent(**settings) as agent:
        task_id = await agent.submit({"items": asked, "timeout": 300})

        async def all_light() -> list[str] | None:
            results = (await agent.get(f"/api/v1/results/{task_id}"))["results"]
            reasons = [result["reason"] for result in results if result["item_id"] != "heavy"]
            return reasons if len(reasons) == len(light) else None

        assert await eventually(all_light) == ["ok"] * len(light)
        assert (await agent.get(f"/api/v1/tasks/{task_id}"))["progress"]["running"] == 1, "the heavy one goes on"
        await agent.delete(f"/api/v1/tasks/{task_id}")
