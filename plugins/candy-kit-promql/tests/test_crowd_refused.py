"""What refuses many questions together need not refuse each of them: on a server that can be made to."""

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


async def answers(url: str, context: Any, run: Any) -> dict[str, Outcome]:
    """What each of :data:`QUERIES` was answered, asked in one call."""
    settings = params_reader.read({"url": url}, MetricSettings)
    items = [Item(index=n, id=n, name="", params=MetricParams(query=query)) for n, query in enumerate(QUERIES)]
    async with open_executor(context, settings, PROMETHEUS) as executor:
        return {QUERIES[index]: outcome async for index, outcome in executor.run_batch(items, run)}


def behaviour(refusal: str, guilty: str) -> Any:
    """Refuses every query in which ``guilty`` is found, and answers the others with 5."""

    async def behave(peer: Any) -> None:
        if "buildinfo" in peer.request.line:
            await peer.answer({"status": "success", "data": BUILD})
            return
        [query] = parse_qs(peer.request.body.decode())["query"]
        if re.search(guilty, query):
            await peer.answer("<html>no</html>", status=refusal)
            return
        numbers = re.findall(r'"(candy_item_\w+)","(\d+)"', query) or [("", "")]
        vector = [{"metric": {mark: number}, "value": [1, "5"]} for mark, number in numbers]
        await peer.answer({"status": "success", "data": {"resultType": "vector", "result": vector}})

    return behave


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        ("403 Forbidden", Reason.AUTH_FAILED),
        ("413 Content Too Large", Reason.BAD_RESPONSE),
        ("414 URI Too Long", Reason.BAD_RESPONSE),
        ("429 Too Many Requests", Reason.UNREACHABLE),
        ("500 Internal Server Error", Reason.BAD_RESPONSE),
        ("302 Found", Reason.BAD_RESPONSE),
    ],
)
@pytest.mark.parametrize("guilty", [" or ", r"\bm7\b"])
async def test_only_the_guilty_question_is_refused(serve: Any, refusal: str, reason: Reason, guilty: str) -> None:
    server = await serve(behaviour(refusal, guilty))
    found = await answers(server.url, plugin_context("prometheus"), task_run())
    refused = {query for query, outcome in found.items() if outcome.status is ItemStatus.FAILED}
    assert refused == {query for query in QUERIES if re.search(guilty, query)}
    assert {found[query].reason for query in refused} <= {reason}
    assert {outcome.value for query, outcome in found.items() if query not in refused} == {"5"}
