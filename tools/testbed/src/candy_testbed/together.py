"""Checks that batched queries give the same outcomes as single ones; for the metric plugins' tests."""

from __future__ import annotations

import asyncio
import math
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candy_core import ItemStatus, Outcome
from candy_testbed.expressions import expressions
from candy_testbed.metric_plugin import Open
from candy_testbed.metric_server import MetricServer

LATE = 5.0
"""Seconds after which samples can be queried."""

TRIES = 100
"""How often a server is asked that may have more than one answer. Go walks through a map of two entries from the second
in one of eight cases: that is missed by all of these once in 600 000, and by seven of them in two of five."""


def any_questions(test: Callable[..., None]) -> Callable[..., None]:
    """Calls the test with random ``queries``, of one task, and a ``threshold`` for them."""
    drawn = given(
        queries=st.lists(expressions, min_size=10, max_size=40), threshold=st.sampled_from([None, "0.5", "<1"])
    )
    often = settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    decorated: Callable[..., None] = often(drawn(test))
    return decorated


def differences(
    open_agent: Open, server: MetricServer, queries: list[str], threshold: str | None
) -> list[tuple[str, Outcome, Outcome]]:
    """The outcomes that differ between batched and single queries; ``server`` has the node exporter's metrics."""
    server.wait_until("count(node_load1 offset 10s)")
    instant = time.time() - LATE

    async def ask() -> list[tuple[str, Outcome, Outcome]]:
        found = []
        async with open_agent(url=server.url) as together, open_agent(url=server.url, batch_size=0) as alone:
            batched = await together.run_together(*queries, time_=instant, threshold=threshold)
            single = await alone.run_together(*queries, time_=instant, threshold=threshold)
            for query, got, expected in zip(queries, batched, single, strict=True):
                if got == expected:
                    continue
                # The server may have more than one answer: then any of them will do.
                answers = [expected]
                while not _is_one_of(answers, got) and len(answers) < TRIES:
                    answers += await alone.run_together(query, time_=instant, threshold=threshold)
                if not _is_one_of(answers, got):
                    found.append((query, got, expected))
        return found

    return asyncio.run(ask())


def hundred_values(open_agent: Open, url: str) -> list[str]:
    """The values of a hundred different queries of one task: 0 to 99, as texts."""

    async def ask() -> list[str]:
        async with open_agent(url=url) as agent:
            found = await agent.run_together(*(f"vector({number})" for number in range(100)), time_=time.time())
            return [outcome.value for outcome in found]

    return asyncio.run(ask())


def counted(url: str, metric: str, label: str, clock: str | None = None) -> float:
    """The sum of the server's own counters of that name which carry ``label``, as it is written on ``/metrics``.

    ``clock`` names a metric that grows by itself, for a server that keeps the page for a while (VictoriaMetrics does,
    for a second): then a page is waited for that was made after the call.
    """
    page = _page(url)
    if clock is not None:
        deadline = time.monotonic() + 120
        total = _sum(page, clock)
        while _sum(page := _page(url), clock) == total:
            assert time.monotonic() < deadline, f"{clock} of {url} stands still"
            time.sleep(0.05)
    return _sum(page, metric, label)


def _page(url: str) -> list[str]:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:  # our own URL
        lines: list[str] = answer.read().decode().splitlines()
    return lines


def _sum(page: list[str], metric: str, label: str = "") -> float:
    return sum(float(line.rpartition(" ")[2]) for line in page if line.startswith(metric) and label in line)


def _is_one_of(answers: list[Outcome], got: Outcome) -> bool:
    """Whether ``got`` is the same as one of the answers that a server gave to repeated runs of one query."""
    varying = any(answer != answers[0] for answer in answers)
    return any(_same(got, answer, in_any_order=varying) for answer in answers)


def _same(one: Outcome, other: Outcome, *, in_any_order: bool) -> bool:
    """Whether two answers to one question are the same, but for the last digits of numbers, and the words of errors.

    Prometheus promises no order for what goes through a map (``histogram_quantile``, subqueries); VictoriaMetrics adds
    numbers up in an order of its own, so that the last digits of a sum change. ``in_any_order``: ``value``, which is
    the first series', may be another's.
    """
    if one.status is other.status is ItemStatus.FAILED:  # errors name one of several series
        return one.reason == other.reason
    if one.stats.keys() != other.stats.keys():
        return False
    stats = all(other.stats[name] == _nearly(value) for name, value in one.stats.items())
    values = in_any_order or one.value == other.value or _number(one.value) == pytest.approx(_number(other.value))
    return stats and values and evolve(one, value="", stats={}) == evolve(other, value="", stats={})


def _nearly(value: object) -> Any:
    return pytest.approx(value, nan_ok=True)


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan
