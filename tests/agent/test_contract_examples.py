"""The contract's JSON examples, request and answer, against the running agent, Prometheus and VictoriaMetrics.

Values aside.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from candy_core import __version__
from candy_server.server import CandyServer
from candy_server.signature import Signature
from candy_testbed.running_agent import KEY, StartAgent

CPU = '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)'
MEMORY = "100 * (1 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes))"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

REQUEST: dict[str, Any] = {
    "task_id": "12345",
    "items": [
        {"id": 1, "name": "CPU使用率检查", "type": "prometheus", "params": {"query": CPU, "threshold": "80"}},
        {"id": 2, "name": "内存使用率检查", "type": "victoriaMetrics", "params": {"query": MEMORY, "threshold": "90"}},
    ],
    "timeout": 300,
}

EXCEEDING: dict[str, Any] = {
    **REQUEST,
    "items": [
        # Thresholds that every machine exceeds: the document's answer is one with warnings.
        {**REQUEST["items"][0], "params": {"query": "up", "threshold": "0.5"}},
        {**REQUEST["items"][1], "params": {"query": MEMORY, "threshold": "0.01"}},
    ],
}


async def test_the_answer_to_the_documents_task_has_the_documents_shape(
    start_agent: StartAgent, prometheus: str, victoriametrics: str, candy_server: CandyServer
) -> None:
    """Contract section 2, "Task request", "Status object" and "Result object"; section 4, "Callback"."""
    async with start_agent(
        CANDY_PROMETHEUS_URL=prometheus,
        CANDY_VICTORIAMETRICS_URL=victoriametrics,
        CANDY_SERVER_URL=candy_server.url,
        CANDY_SERVER_API_KEY=candy_server.key,
    ) as agent:
        status, state = await agent.post("/api/v1/task", REQUEST)
        assert status == 202
        assert {"task_id", "status", "message", "start_time"} <= set(state)
        assert (state["task_id"], state["message"]) == ("12345", "")
        document = await agent.result("12345")
        assert list(document)[:3] == ["task_id", "status", "results"]
        assert set(document) == {"task_id", "status", "results", "start_time", "end_time", "message"}
        assert (document["task_id"], document["status"]) == ("12345", "completed")
        assert RFC3339.fullmatch(document["start_time"])
        assert RFC3339.fullmatch(document["end_time"])
        assert [result["item_id"] for result in document["results"]] == [1, 2]
        for result, asked in zip(document["results"], REQUEST["items"], strict=True):
            assert {"item_id", "status", "value", "message", "details", "duration"} <= set(result)
            assert result["status"] in ("normal", "warning")
            assert float(result["value"]) >= 0
            assert isinstance(result["duration"], int)
            assert result["details"].startswith(f"Query: {asked['params']['query']}\nResult Type: vector")
        received = await candy_server.callback("12345")
        assert received.body == document
        assert received.signature is Signature.VERIFIED


async def test_items_beyond_their_thresholds_are_told_in_the_documents_sentences(
    start_agent: StartAgent, prometheus: str, victoriametrics: str
) -> None:
    """Contract section 2, "Result object": message, details and the task's message, spaced as there."""
    async with start_agent(CANDY_PROMETHEUS_URL=prometheus, CANDY_VICTORIAMETRICS_URL=victoriametrics) as agent:
        document = await agent.run(EXCEEDING)
        many, one = document["results"]
        assert document["message"] == "Task completed with some warnings"
        assert re.fullmatch(r"有 2 个节点超过阈值 0\.50，最高值为 127\.0\.0\.1:\d+ 的 1\.00", many["message"])
        assert re.fullmatch(
            r"Query: up\nResult Type: vector\n\n超过阈值的节点：(\n127\.0\.0\.1:\d+ \(1\.00\)){2}",
            many["details"],
        )
        assert re.fullmatch(r"节点 127\.0\.0\.1:\d+ 的值 \d+\.\d\d 超过阈值 0\.01", one["message"])
        assert (one["status"], one["reason"]) == ("warning", "threshold_exceeded")


async def test_the_first_heartbeat_comes_at_once_with_the_documents_keys(
    start_agent: StartAgent, candy_server: CandyServer
) -> None:
    """Contract section 4, "Heartbeat": figures that could not be had are left out, never invented."""
    async with start_agent(
        CANDY_SERVER_URL=candy_server.url,
        CANDY_SERVER_API_KEY=candy_server.key,
        CANDY_CLUSTER_NAME="production-cluster",
    ) as agent:
        beat = (await candy_server.heartbeat("agent-001")).body
        assert (beat["agent_id"], beat["status"], beat["version"]) == ("agent-001", "running", __version__)
        assert beat["cluster_info"] == {"name": "production-cluster"}
        assert RFC3339.fullmatch(beat["timestamp"])
        assert beat["agent_endpoint"].endswith(f":{agent.process.port}")
        assert "api_key" not in beat, "a configured key is not handed out"
        assert KEY not in str(beat)


async def test_the_routes_of_the_contract_are_there(start_agent: StartAgent) -> None:
    """Contract section 1, "All routes": tasks, results, cancel, health."""
    async with start_agent() as agent:
        task = {"task_id": "a", "items": [{"id": 1, "type": "prometheus", "params": {"query": "up"}}]}
        document = await agent.run(task)
        assert document["results"][0]["reason"] == "not_configured"
        assert "CANDY_PROMETHEUS_URL" in document["results"][0]["message"]
        assert (await agent.get("/api/v1/tasks/a"))["status"] == "completed"
        assert (await agent.delete("/api/v1/tasks/a"))[0] == 409
        assert (await agent.delete("/api/v1/tasks/b"))[0] == 404
        assert (await agent.get("/health"))["status"] == "running"


@pytest.mark.parametrize("locale", ["zh_CN", "en"])
async def test_sentences_are_in_the_tasks_language(
    start_agent: StartAgent, prometheus: str, victoriametrics: str, locale: str
) -> None:
    async with start_agent(CANDY_PROMETHEUS_URL=prometheus, CANDY_VICTORIAMETRICS_URL=victoriametrics) as agent:
        document = await agent.run({**EXCEEDING, "locale": locale})
        for result in document["results"]:
            assert bool(re.search(r"[\u4e00-\u9fff]", result["message"])) == (locale == "zh_CN")
