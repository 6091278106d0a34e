"""A server that refuses a batch need not refuse each of its queries: against a scripted server."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

import pytest

from candy_core import Item, ItemStatus, Outcome, Reason, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_promql import PROMETHEUS, MetricParams, MetricSettings, open_executor
from candy_testbed import task_run

BUILD = {"version": "3.1.0", "revision": "abc", "goVersion": "go1.23"}
QUERIES = [f"m{number}" for number in range(20)]


async def outcomes(url: str) -> dict[str, Outcome]:
    """The outcome of each of :data:`QUERIES`, run in one call."""
    settings = params_reader.read({"url": url}, MetricSettings)
    items = [Item(index=n, id=n, name="", params=MetricParams(query=query)) for n, query in enumerate(QUERIES)]
    async with open_executor(plugin_context("prometheus"), settings, PROMETHEUS) as executor:
        return {QUERIES[index]: outcome async for index, outcome in executor.run_batch(items, task_run())}


def refusing(pattern: str, status: str) -> Any:
    """Refuses every query that matches ``pattern``, and answers the others with 5."""

    async def behave(peer: Any) -> None:
        if "buildinfo" in peer.request.line:
            await peer.answer({"status": "success", "data": BUILD})
            return
        [query] = parse_qs(peer.request.body.decode())["query"]
        if re.search(pattern, query):
            await peer.answer("<html>no</html>", status=status)
            return
        numbers = re.findall(r'"(candy_item_\w+)","(\d+)"', query) or [("", "")]
        vector = [{"metric": {label: number}, "value": [1, "5"]} for label, number in numbers]
        await peer.answer({"status": "success", "data": {"resultType": "vector", "result": vector}})

    return behave


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("403 Forbidden", Reason.AUTH_FAILED),
        ("413 Content Too Large", Reason.BAD_RESPONSE),
        ("414 URI Too Long", Reason.BAD_RESPONSE),
        ("429 Too Many Requests", Reason.UNREACHABLE),
        ("500 Internal Server Error", Reason.BAD_RESPONSE),
        ("302 Found", Reason.BAD_RESPONSE),
    ],
)
@pytest.mark.parametrize("pattern", [" or ", r"\bm7\b"])
async def test_only_the_query_that_causes_the_refusal_fails(
    serve: Any, status: str, reason: Reason, pattern: str
) -> None:
    server = await serve(refusing(pattern, status))
    found = await outcomes(server.url)
    refused = {query for query, outcome in found.items() if outcome.status is ItemStatus.FAILED}
    assert refused == {query for query in QUERIES if re.search(pattern, query)}
    assert {found[query].reason for query in refused} <= {reason}
    assert {outcome.value for query, outcome in found.items() if query not in refused} == {"5"}
