"""A driver for the executor."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from candy_core import ByteLimits, Item, Locale, Outcome, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_promql import PROMETHEUS, MetricParams, MetricSettings, open_executor
from candy_testbed import task_run
from candy_testbed.scripted import serve as serve


class Ask(Protocol):
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
def ask() -> Ask:
    """Run items through the executor, each in a call of its own, and hold it to one outcome for each of them.

    ``settings`` and ``params`` as a configuration and a task would write them; a text is a query.
    """

    async def asked(
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
                run = task_run(seconds=seconds, locale=locale, instant=time)
                answers = [answer async for answer in executor.run_batch([item], run)]
                assert [answered for answered, _ in answers] == [index]
                found += [outcome for _, outcome in answers]
        return found

    return asked
