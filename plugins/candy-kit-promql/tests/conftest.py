"""The executor, called as the core calls it."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from candy_core import ByteLimits, Item, Locale, Outcome, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_promql import PROMETHEUS, MetricParams, MetricSettings, open_executor
from candy_testbed import task_run
from candy_testbed.scripted import serve as serve


class RunItems(Protocol):
    async def __call__(
        self,
        settings: object,
        *params: object,
        limit: int = ...,
        seconds: float = ...,
        locale: Locale = ...,
        time: float | None = ...,
    ) -> list[Outcome]: ...


@pytest.fixture
def run_items() -> RunItems:
    """Run items, each in a call of its own, and check that each gets one outcome.

    ``settings`` and ``params`` are written as in a configuration and a task; a string is a query.
    """

    async def run(
        settings: object,
        *params: object,
        limit: int = 32 * 1024 * 1024,
        seconds: float = 60.0,
        locale: Locale = Locale.EN,
        time: float | None = None,
    ) -> list[Outcome]:
        given: Any = {"url": settings} if isinstance(settings, str) else settings
        found: list[Outcome] = []
        context = plugin_context("prometheus", limits=ByteLimits(answer=limit))
        async with open_executor(context, params_reader.read(given, MetricSettings), PROMETHEUS) as executor:
            for index, each in enumerate(params):
                written: Any = {"query": each} if isinstance(each, str) else each
                item = Item(index=index, id=index, name="", params=params_reader.read(written, MetricParams))
                circumstances = task_run(seconds=seconds, locale=locale, instant=time)
                pairs = [pair async for pair in executor.run_batch([item], circumstances)]
                assert [answered for answered, _ in pairs] == [index]
                found += [outcome for _, outcome in pairs]
        return found

    return run
