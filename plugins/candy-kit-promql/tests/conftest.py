"""The executor, called as the core calls it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

import pytest
import structlog

from candy_core import ByteLimits, Item, Locale, Outcome, PluginContext, Run, Secret, params_reader
from candy_kit_promql import PROMETHEUS, MetricParams, MetricSettings, open_executor
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


async def no_credential(name: str) -> Secret:
    raise AssertionError(f"no test needs the credential {name}")


def context(limit: int = 32 * 1024 * 1024) -> PluginContext:
    return PluginContext(
        plugin="prometheus",
        agent_id="agent",
        core_version="0.1.0",
        logger=structlog.get_logger(),
        credential=no_credential,
        limits=ByteLimits(answer=limit),
    )


@pytest.fixture
def run_items() -> RunItems:
    """Run items, each in a call of its own, and check that each gets one outcome.

    ``settings`` and ``params`` are written as in a configuration and a task; a string is a query.
    """

    async def run(
        settings: object,
        *params: object,
        limit: int = 32 * 1024 * 1024,
        seconds: float = 20.0,
        locale: Locale = Locale.EN,
        time: float | None = None,
    ) -> list[Outcome]:
        given: Any = {"url": settings} if isinstance(settings, str) else settings
        found: list[Outcome] = []
        async with open_executor(context(limit), params_reader.read(given, MetricSettings), PROMETHEUS) as executor:
            for index, each in enumerate(params):
                written: Any = {"query": each} if isinstance(each, str) else each
                item = Item(index=index, id=index, name="", params=params_reader.read(written, MetricParams))
                pairs = [pair async for pair in executor.run_batch([item], new_run(seconds, locale, time))]
                assert [answered for answered, _ in pairs] == [index]
                found += [outcome for _, outcome in pairs]
        return found

    return run


def new_run(seconds: float = 20.0, locale: Locale = Locale.EN, instant: float | None = None) -> Run:
    return Run(
        task_id="task",
        time=time.time() if instant is None else instant,
        locale=locale,
        deadline=asyncio.get_running_loop().time() + seconds,
        logger=structlog.get_logger(),
    )


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """The ``Run`` of a call."""
    return new_run


@pytest.fixture
def make_context() -> Callable[..., PluginContext]:
    """The plugin's context."""
    return context
