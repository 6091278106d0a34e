"""What newer versions and clusters report, and the version of the tests does not: from a stand-in server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import Factory, define

from candy_core import ItemStatus, Locale, Reason

NORMAL, WARNING, FAILED = ItemStatus.NORMAL, ItemStatus.WARNING, ItemStatus.FAILED
SERIES = [{"metric": {"__name__": "m", "instance": "a"}, "value": [1, "5"]}]


@define
class StandIn:
    """Answers every query with ``result``, and has the series that ``known`` names."""

    result: list[dict[str, Any]] = Factory(list)
    more: dict[str, Any] = Factory(dict)
    known: tuple[str, ...] = ()
    status: int = 200
    error: str = ""
    url: str = ""
    requests: list[tuple[str, dict[str, str]]] = Factory(list)
    """The path and the form of each request."""

    async def answer(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl(await request.text()))
        self.requests.append((request.path, form))
        if self.error:
            body: dict[str, Any] = {"status": "error", "errorType": str(self.status), "error": self.error}
            return web.json_response(body, status=self.status)
        if request.path.endswith("/series"):
            data: Any = [{"__name__": "m"}] if form["match[]"] in self.known else []
            return web.json_response({"status": "success", "isPartial": False, "data": data})
        result = self.result
        if form["query"].startswith("label_replace(count("):
            result = [
                {"metric": {"candy_selector": str(number)}, "value": [1, "1"]}
                for number, name in enumerate(form["query"].split(" or "))
                if any(f"count({each})" in name for each in self.known)
            ]
        body = {
            "status": "success",
            "isPartial": False,
            "data": {"resultType": "vector", "result": result},
            **self.more,
        }
        return web.json_response(body)


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    """A running :class:`StandIn`."""
    stand_in = StandIn()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", stand_in.answer)
    async with TestServer(application) as server:
        stand_in.url = str(server.make_url("")).rstrip("/")
        yield stand_in


def fetched(count: int | str) -> dict[str, Any]:
    return {"stats": {"seriesFetched": count, "executionTimeMsec": 2}}


async def test_every_query_has_nocache(stand_in: StandIn, open_agent: Any) -> None:
    """Contract section 3: "VictoriaMetrics is asked with ``nocache=1``"."""
    stand_in.more = fetched("1")
    async with open_agent(url=stand_in.url) as agent:
        await agent.run("m > 5 and n", {"query": "m", "range": {"lookback": "1m"}})
    queries = [(path, form) for path, form in stand_in.requests if "/query" in path]
    assert {path for path, _ in queries} == {"/api/v1/query", "/api/v1/query_range"}
    assert {form["nocache"] for _, form in queries} == {"1"}


async def test_a_tenants_datasource_is_queried_at_the_tenants_path(stand_in: StandIn, open_agent: Any) -> None:
    stand_in.result = SERIES
    async with open_agent(url=stand_in.url, tenant="42:7", datasources={"b": {"url": stand_in.url}}) as agent:
        await agent.run("m", {"query": "m", "datasource": "b"})
    assert {path for path, _ in stand_in.requests} == {"/select/42:7/prometheus/api/v1/query", "/api/v1/query"}


@pytest.mark.parametrize(
    ("query", "count", "status", "reason"),
    [
        ("m > 5", "3", NORMAL, Reason.EMPTY_RESULT),
        ("m > 5", 3, NORMAL, Reason.EMPTY_RESULT),
        ("m", "0", WARNING, Reason.SERIES_ABSENT),
        ("m > 5", "0", WARNING, Reason.SERIES_ABSENT),
        ("m", "3", WARNING, Reason.EMPTY_RESULT),
        # Two selectors: a count shows which of them has no series.
        ("m > 5 and gone", "3", WARNING, Reason.SERIES_ABSENT),
        ("m > 5 and m{a='b'}", "3", NORMAL, Reason.EMPTY_RESULT),
        # Not PromQL: there is only the server's count.
        ("sum(rate(m)) > 5", "3", NORMAL, Reason.EMPTY_RESULT),
        ("sum(rate(m)) > 5", "0", WARNING, Reason.EMPTY_RESULT),
        # An invalid count is ignored.
        ("m > 5", "many", NORMAL, Reason.EMPTY_RESULT),
        ("gone > 5", "many", WARNING, Reason.SERIES_ABSENT),
    ],
)
async def test_the_count_of_series_explains_an_empty_answer(
    stand_in: StandIn, open_agent: Any, query: str, count: int | str, status: ItemStatus, reason: Reason
) -> None:
    stand_in.more = fetched(count)
    stand_in.known = ("m", 'm{a="b"}')
    async with open_agent(url=stand_in.url) as agent:
        [outcome] = await agent.run(query)
    assert (outcome.status, outcome.reason) == (status, reason)
    assert any("/series" in path for path, _ in stand_in.requests) is (count == "many")


@pytest.mark.parametrize("result", [SERIES, []])
async def test_a_partial_answer_is_never_normal(
    stand_in: StandIn, open_agent: Any, result: list[dict[str, Any]]
) -> None:
    """Contract section 3: "A partial answer is ``partial_response`` and never ``normal``"."""
    stand_in.result = result
    stand_in.more = {"isPartial": True, **fetched("1")}
    async with open_agent(url=stand_in.url) as agent:
        [outcome] = await agent.run({"query": "m", "threshold": "80"}, locale=Locale.EN)
    assert (outcome.status, outcome.reason) == (WARNING, Reason.PARTIAL_RESPONSE)


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (422, 'error when executing query="m": cannot fetch: timeout exceeded during query execution: 30 s', "timeout"),
        (503, "timeout exceeded while fetching data block #1 from storage", Reason.TIMEOUT),
        (422, 'error when executing query="m{a=\\"timeout exceeded\\"} +": unexpected end', Reason.QUERY_REJECTED),
        (503, "couldn't start executing the request in 10 seconds, since 8 requests are executed", Reason.UNREACHABLE),
        (429, "too many requests", Reason.UNREACHABLE),
        (400, "missing `query` arg", Reason.QUERY_REJECTED),
        (500, "panic", Reason.BAD_RESPONSE),
    ],
)
async def test_the_servers_error_text_is_kept_and_classified(
    stand_in: StandIn, open_agent: Any, status: int, error: str, reason: str
) -> None:
    stand_in.status, stand_in.error = status, error
    async with open_agent(url=stand_in.url) as agent:
        [outcome] = await agent.run("m")
    assert (outcome.status, outcome.reason) == (FAILED, reason)
    assert error in outcome.message
    assert outcome.details == f"Query: m\nError: {error}"


async def test_a_server_that_is_not_victoriametrics_gets_no_batches(stand_in: StandIn, open_agent: Any) -> None:
    stand_in.status, stand_in.error = 400, 'unknown function with name "label_set"'
    async with open_agent(url=stand_in.url) as agent:
        found = await agent.run_together("m", "n", time_=1.0)
    assert [outcome.reason for outcome in found] == [Reason.QUERY_REJECTED] * 2
    assert [form["query"] for _, form in stand_in.requests] == ['label_set(1,"a","b")', "m", "n"]
