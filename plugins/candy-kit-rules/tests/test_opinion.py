"""The server's own opinion of expressions, bounded, and never a reason to refuse what could not be asked."""

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
    ask_long_ago,
    ask_prometheus,
    open_checker,
    opinion,
)
from candy_kit_rules.questions import Question
from candy_testbed import VictoriaMetrics
from candy_testbed.requirement import required

Check = Callable[..., Any]


@pytest.fixture
def check(make_rule: Callable[..., Rule]) -> Check:
    """What is wrong with alerts of these expressions, by the server at an address."""

    async def found(
        url: str, *expressions: str, dialect: RuleDialect = PROMETHEUS_RULES, question: Question = ask_prometheus
    ) -> list[Problem]:
        rules: list[Any] = [{"alert": f"A{index}", "expr": text} for index, text in enumerate(expressions)]
        source = params_reader.read({"url": url}, RuleDatasource)
        async with open_checker(plugin_context("rules"), dialect, source, question) as checker:
            return list(await checker(make_rule({"name": "g", "rules": rules})))

    return found


async def test_prometheus_itself_judges_its_expressions(check: Check, prometheus: str) -> None:
    good = ["up", "vector(1)", "holt_winters(up[5m], 0.1, 0.2)", "max_over_time(vector(1)[10y:1s]) > 0"]
    bad = ["up > 100d", "sum(up", "nope(up)", "sort_by_label(up, 'a')"]
    found = await check(prometheus, *good, *bad)
    assert [problem.path for problem in found] == [f"$.groups[0].rules[{index}].expr" for index in range(4, 8)]
    assert found[0].message.startswith('group "g", alert "A4": expr: the server refuses the expression: ')
    assert 'unexpected duration "100d"' in found[0].message


async def test_what_prometheus_parses_and_cannot_evaluate_as_a_rule_is_refused(check: Check, prometheus: str) -> None:
    [found] = await check(prometheus, "up[5m]")
    assert "this one gives a range vector" in found.message


async def test_victoriametrics_itself_judges_its_expressions(check: Check, victoriametrics: str) -> None:
    good = ["up", "up default 0", "WITH (x = up) x", "5m", "rate(up[1i]) > 1Ki", "up offset -1w", "up[5m:1m] @ end()"]
    bad = ["sum(up", "nope(up)", "up{", "max_over_time(vector(1)[10y:1s])", "up + " * 5000 + "up"]
    found = await check(victoriametrics, *good, *bad, dialect=VICTORIAMETRICS_RULES, question=ask_long_ago)
    assert [problem.path for problem in found] == [f"$.groups[0].rules[{index}].expr" for index in range(7, 12)]
    assert 'unknown func "nope"' in found[1].message
    assert "-search.maxQueryLen=16384" in found[4].message


async def test_a_server_without_format_query_is_asked_by_a_query(check: Check, victoriametrics: str) -> None:
    """Thanos has no such call; this one has none either, and answers 400."""
    [found] = await check(victoriametrics, "up", "up{")
    assert "the server refuses the expression" in found.message


async def test_a_server_that_denies_old_instants_refuses_nothing(check: Check) -> None:
    with required(VictoriaMetrics(itself=False, arguments=["-denyQueriesOutsideRetention"])) as server:
        assert await check(server.url, "up", "rate(up)", dialect=VICTORIAMETRICS_RULES, question=ask_long_ago) == []


@define
class StandIn:
    """A server that keeps what it is asked, and answers as it is told."""

    url: str = ""
    asked: list[tuple[str, str]] = Factory(list)
    at_once: int = 0
    most_at_once: int = 0
    hold: asyncio.Event | None = None
    busy: asyncio.Event = Factory(asyncio.Event)
    idle: asyncio.Event = Factory(asyncio.Event)
    status: int = 200

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append((request.path, str(form["query"])))
        self.at_once += 1
        self.busy.set()
        self.idle.clear()
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(0)
        finally:
            self.at_once -= 1
            if not self.at_once:
                self.idle.set()
        if self.status != 200:
            return web.Response(status=self.status, text="no")
        return web.json_response({"status": "success", "data": "x"})


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    """Running, on a port of its own."""
    stand_in = StandIn()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", stand_in.answer)
    async with TestServer(application) as server:
        stand_in.url = str(server.make_url("")).rstrip("/")
        yield stand_in


async def test_each_different_expression_is_asked_once_and_few_at_a_time(check: Check, stand_in: StandIn) -> None:
    expressions = [f"up == {number % 50}" for number in range(200)]
    assert await check(stand_in.url, *expressions) == []
    assert sorted(query for _, query in stand_in.asked) == sorted(set(expressions))
    assert {path for path, _ in stand_in.asked} == {"/api/v1/format_query"}
    assert stand_in.most_at_once <= opinion.AT_ONCE


async def test_what_the_server_took_is_not_asked_again_until_it_is_old(
    make_rule: Callable[..., Rule], stand_in: StandIn
) -> None:
    now = 1000.0
    source = params_reader.read({"url": stand_in.url}, RuleDatasource)
    async with opinion.open_opinion(plugin_context("rules"), source, ask_prometheus, clock=lambda: now) as asked:
        assert asked is not None
        for seconds, requests in [(0.0, 1), (opinion.KEPT_SECONDS - 1, 1), (1.0, 2)]:
            now += seconds
            assert await asked.of(["up"]) == {"up": None}
            assert len(stand_in.asked) == requests


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504, 302])
async def test_a_server_that_cannot_say_refuses_nothing_and_is_a_warning(
    check: Check, stand_in: StandIn, status: int
) -> None:
    stand_in.status = status
    with capture_logs() as logs:
        [found] = await check(stand_in.url, "up", "up{", *(f"up == {number}" for number in range(100)))
    assert "the expression does not parse" in found.message  # the parser at hand has its say
    assert [(log["event"], log["log_level"]) for log in logs] == [("expressions_not_checked", "warning")]
    assert len(stand_in.asked) <= 2 * opinion.AT_ONCE, "it was asked on and on"


async def test_a_server_that_is_not_there_is_left_alone_for_a_while(stand_in: StandIn) -> None:
    now = 1000.0
    source = params_reader.read({"url": stand_in.url}, RuleDatasource)
    stand_in.status = 503
    async with opinion.open_opinion(plugin_context("rules"), source, ask_prometheus, clock=lambda: now) as asked:
        assert asked is not None
        assert await asked.of(["up"]) == {}
        stand_in.status = 200
        assert await asked.of(["up"]) == {}
        now += opinion.REST_SECONDS
        assert await asked.of(["up"]) == {"up": None}
    assert len(stand_in.asked) == 2


async def test_a_cancelled_check_leaves_no_question_behind(check: Check, stand_in: StandIn) -> None:
    stand_in.hold = asyncio.Event()
    task = asyncio.create_task(check(stand_in.url, *(f"up == {number}" for number in range(20))))
    await stand_in.busy.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stand_in.hold.set()
    await stand_in.idle.wait()
    assert len(stand_in.asked) <= opinion.AT_ONCE


async def test_without_a_datasource_nothing_is_opened() -> None:
    async with opinion.open_opinion(plugin_context("rules"), None, ask_prometheus) as nobody:
        assert nobody is None
    with pytest.raises(Invalid, match="expected a url"):
        params_reader.read({"bearer_token": "x"}, RuleDatasource)
