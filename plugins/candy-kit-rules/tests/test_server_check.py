"""Expressions checked by a server: within bounds, and an unavailable server rejects nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import Factory, define
from structlog.testing import capture_logs

from candy_core import Invalid, Problem, Rule, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_rules import (
    PROMETHEUS_RULES,
    VICTORIAMETRICS_RULES,
    RuleDatasource,
    RuleDialect,
    check_by_parsing,
    check_by_past_query,
    open_checker,
    server_check,
)
from candy_kit_rules.expression_checks import ExpressionCheck
from candy_testbed import VictoriaMetrics
from candy_testbed.requirement import required

Check = Callable[..., Any]


@pytest.fixture
def check(make_rule: Callable[..., Rule]) -> Check:
    """The problems of alerts with these expressions, checked by the server at an address."""

    async def found(
        url: str, *expressions: str, dialect: RuleDialect = PROMETHEUS_RULES, by: ExpressionCheck = check_by_parsing
    ) -> list[Problem]:
        rules: list[Any] = [{"alert": f"A{index}", "expr": text} for index, text in enumerate(expressions)]
        source = params_reader.read({"url": url}, RuleDatasource)
        async with open_checker(plugin_context("rules"), dialect, source, by) as checker:
            return list(await checker(make_rule({"name": "g", "rules": rules})))

    return found


async def test_prometheus_checks_expressions(check: Check, prometheus: str) -> None:
    good = ["up", "vector(1)", "holt_winters(up[5m], 0.1, 0.2)", "max_over_time(vector(1)[10y:1s]) > 0"]
    bad = ["up > 100d", "sum(up", "nope(up)", "sort_by_label(up, 'a')"]
    found = await check(prometheus, *good, *bad)
    assert [problem.path for problem in found] == [f"$.groups[0].rules[{index}].expr" for index in range(4, 8)]
    assert found[0].message.startswith('group "g", alert "A4": expr: the server refuses the expression: ')
    assert 'unexpected duration "100d"' in found[0].message


async def test_an_expression_that_parses_but_cannot_be_a_rule_is_rejected(check: Check, prometheus: str) -> None:
    [found] = await check(prometheus, "up[5m]")
    assert "this one gives a range vector" in found.message


async def test_victoriametrics_checks_expressions(check: Check, victoriametrics: str) -> None:
    good = ["up", "up default 0", "WITH (x = up) x", "5m", "rate(up[1i]) > 1Ki", "up offset -1w", "up[5m:1m] @ end()"]
    bad = ["sum(up", "nope(up)", "up{", "max_over_time(vector(1)[10y:1s])", "up + " * 5000 + "up"]
    found = await check(victoriametrics, *good, *bad, dialect=VICTORIAMETRICS_RULES, by=check_by_past_query)
    assert [problem.path for problem in found] == [f"$.groups[0].rules[{index}].expr" for index in range(7, 12)]
    assert 'unknown func "nope"' in found[1].message
    assert "-search.maxQueryLen=16384" in found[4].message


async def test_a_server_without_format_query_checks_by_a_query(check: Check, victoriametrics: str) -> None:
    """Thanos does not have it; nor does this server, which answers 400."""
    [found] = await check(victoriametrics, "up", "up{")
    assert "the server refuses the expression" in found.message


async def test_a_server_that_denies_past_instants_rejects_nothing(check: Check) -> None:
    with required(VictoriaMetrics(itself=False, arguments=["-denyQueriesOutsideRetention"])) as server:
        assert await check(server.url, "up", "rate(up)", dialect=VICTORIAMETRICS_RULES, by=check_by_past_query) == []


@define
class StandIn:
    """A server that records its requests, and answers with ``status``."""

    url: str = ""
    requests: list[tuple[str, str]] = Factory(list)
    concurrent: int = 0
    most_concurrent: int = 0
    released: asyncio.Event | None = None
    busy: asyncio.Event = Factory(asyncio.Event)
    idle: asyncio.Event = Factory(asyncio.Event)
    status: int = 200

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.requests.append((request.path, str(form["query"])))
        self.concurrent += 1
        self.busy.set()
        self.idle.clear()
        self.most_concurrent = max(self.most_concurrent, self.concurrent)
        try:
            if self.released is not None:
                await self.released.wait()
            await asyncio.sleep(0)
        finally:
            self.concurrent -= 1
            if not self.concurrent:
                self.idle.set()
        if self.status != 200:
            return web.Response(status=self.status, text="no")
        return web.json_response({"status": "success", "data": "x"})


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    """A running :class:`StandIn`."""
    stand_in = StandIn()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", stand_in.answer)
    async with TestServer(application) as server:
        stand_in.url = str(server.make_url("")).rstrip("/")
        yield stand_in


async def test_each_different_expression_is_checked_once_and_few_at_a_time(check: Check, stand_in: StandIn) -> None:
    expressions = [f"up == {number % 50}" for number in range(200)]
    assert await check(stand_in.url, *expressions) == []
    assert sorted(query for _, query in stand_in.requests) == sorted(set(expressions))
    assert {path for path, _ in stand_in.requests} == {"/api/v1/format_query"}
    assert stand_in.most_concurrent <= server_check.MAX_CONCURRENT


async def test_an_accepted_expression_is_not_checked_again_until_the_verdict_expires(
    make_rule: Callable[..., Rule], stand_in: StandIn
) -> None:
    now = 1000.0
    source = params_reader.read({"url": stand_in.url}, RuleDatasource)
    context = plugin_context("rules")
    async with server_check.open_server_check(context, source, check_by_parsing, clock=lambda: now) as found:
        assert found is not None
        for seconds, requests in [(0.0, 1), (server_check.CACHE_SECONDS - 1, 1), (1.0, 2)]:
            now += seconds
            assert await found.verdicts(["up"]) == {"up": None}
            assert len(stand_in.requests) == requests


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504, 302])
async def test_a_server_that_fails_rejects_nothing_and_is_logged_as_a_warning(
    check: Check, stand_in: StandIn, status: int
) -> None:
    stand_in.status = status
    with capture_logs() as logs:
        [found] = await check(stand_in.url, "up", "up{", *(f"up == {number}" for number in range(100)))
    assert "the expression does not parse" in found.message  # the parser still checks it
    assert [(log["event"], log["log_level"]) for log in logs] == [("expressions_not_checked", "warning")]
    assert len(stand_in.requests) <= 2 * server_check.MAX_CONCURRENT, "there were further requests"


async def test_a_server_that_fails_gets_no_requests_for_a_while(stand_in: StandIn) -> None:
    now = 1000.0
    source = params_reader.read({"url": stand_in.url}, RuleDatasource)
    stand_in.status = 503
    context = plugin_context("rules")
    async with server_check.open_server_check(context, source, check_by_parsing, clock=lambda: now) as found:
        assert found is not None
        assert await found.verdicts(["up"]) == {}
        stand_in.status = 200
        assert await found.verdicts(["up"]) == {}
        now += server_check.COOLDOWN_SECONDS
        assert await found.verdicts(["up"]) == {"up": None}
    assert len(stand_in.requests) == 2


async def test_a_canceled_check_leaves_no_request_behind(check: Check, stand_in: StandIn) -> None:
    stand_in.released = asyncio.Event()
    task = asyncio.create_task(check(stand_in.url, *(f"up == {number}" for number in range(20))))
    await stand_in.busy.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stand_in.released.set()
    await stand_in.idle.wait()
    assert len(stand_in.requests) <= server_check.MAX_CONCURRENT


async def test_without_a_datasource_nothing_is_opened() -> None:
    async with server_check.open_server_check(plugin_context("rules"), None, check_by_parsing) as found:
        assert found is None
    with pytest.raises(Invalid, match="expected a url"):
        params_reader.read({"bearer_token": "x"}, RuleDatasource)
