"""A driver for the plugin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest
from attrs import frozen

from candy_bash import plugin
from candy_bash.executor import BashExecutor
from candy_core import ByteLimits, Item, Locale, Outcome, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_command import CommandParams
from candy_testbed import busy_seconds, eventually, task_run


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin sends KILL for a minute until it gives up processes that are slow to die."""
    monkeypatch.setattr("candy_bash.termination.KILL_SECONDS", 60.0)


@frozen
class Agent:
    """The plugin, opened."""

    executor: BashExecutor

    async def run(self, params: str | dict[str, Any], *, locale: Locale = Locale.EN) -> Outcome:
        """Run an item; a text is a free-form command."""
        [spec] = plugin.candy_executors()
        written = {"command": params} if isinstance(params, str) else params
        read: CommandParams = params_reader.read(written, spec.params)
        return await self.executor.run(Item(index=0, id=0, name="", params=read), task_run(locale=locale))

    async def run_and_cancel(
        self, params: str | dict[str, Any], *, when: Callable[[], object], locale: Locale = Locale.EN
    ) -> Outcome:
        """Run an item, cancel it as soon as ``when`` is true, and return its outcome."""
        call = asyncio.ensure_future(self.run(params, locale=locale))
        await eventually(lambda: call.done() or when())
        assert not call.done(), f"it ended before it was canceled: {call.result()}"
        call.cancel()
        with busy_seconds() as passed:
            outcome = await call
            assert passed() < 5, "the engine would have abandoned it"
        return outcome


class Open(Protocol):
    def __call__(self, *, limit: int = ..., **settings: Any) -> Any: ...


@pytest.fixture
def open_agent() -> Open:
    """An async context manager around the plugin with these settings; free-form commands are allowed."""

    @asynccontextmanager
    async def opened(*, limit: int = 64 * 1024, **settings: Any) -> AsyncIterator[Agent]:
        [spec] = plugin.candy_executors()
        context = plugin_context("bash", limits=ByteLimits(output=limit))
        read = params_reader.read({"allow_command": True, "grace": 0.2, **settings}, spec.settings)
        async with spec.open(context, read) as executor:
            assert isinstance(executor, BashExecutor)
            yield Agent(executor)

    return opened


@pytest.fixture
async def agent(open_agent: Open) -> AsyncIterator[Agent]:
    """The plugin with free-form commands and else its defaults."""
    async with open_agent() as opened:
        yield opened
