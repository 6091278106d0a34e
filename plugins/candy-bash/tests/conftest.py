"""A driver for the plugin, and eyes on /proc that are not the plugin's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
import structlog
from attrs import define, frozen

from candy_bash import plugin
from candy_bash.executor import BashExecutor
from candy_core import ByteLimits, Item, Locale, Outcome, PluginContext, Run, Secret, params_reader
from candy_kit_command import CommandParams


async def no_credential(name: str) -> Secret:
    raise AssertionError(f"nobody asks for the credential {name}")


@frozen
class Agent:
    """The plugin, opened."""

    executor: BashExecutor

    async def run(self, params: str | dict[str, Any], *, locale: Locale = Locale.EN) -> Outcome:
        """Run an item; a text is a free-form command."""
        [spec] = plugin.candy_executors()
        written = {"command": params} if isinstance(params, str) else params
        read: CommandParams = params_reader.read(written, spec.params)
        run = Run(
            task_id="task",
            time=time.time(),
            locale=locale,
            deadline=asyncio.get_running_loop().time() + 60,
            logger=structlog.get_logger(),
        )
        return await self.executor.run(Item(index=0, id=0, name="", params=read), run)

    async def canceled(
        self, params: str | dict[str, Any], *, when: Callable[[], object], locale: Locale = Locale.EN
    ) -> Outcome:
        """Run an item, cancel it as soon as ``when`` holds, and give what it says then."""
        call = asyncio.ensure_future(self.run(params, locale=locale))
        await until(lambda: call.done() or when())
        assert not call.done(), f"it ended before it was canceled: {call.result()}"
        call.cancel()
        return await asyncio.wait_for(call, 5)  # what an executor is given by the engine


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.01)


class Open(Protocol):
    def __call__(self, *, limit: int = ..., **settings: Any) -> Any: ...


@pytest.fixture
def open_agent() -> Open:
    """An async context manager around the plugin with these settings; free-form commands are allowed."""

    @asynccontextmanager
    async def opened(*, limit: int = 64 * 1024, **settings: Any) -> AsyncIterator[Agent]:
        [spec] = plugin.candy_executors()
        context = PluginContext(
            plugin="bash",
            agent_id="agent",
            core_version="0.1.0",
            logger=structlog.get_logger(),
            credential=no_credential,
            limits=ByteLimits(output=limit),
        )
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


@define
class Sleepers:
    """Processes ``sleep SECONDS`` with a number of seconds that no other test uses."""

    seconds: str

    def __call__(self) -> list[int]:
        """Their pids, zombies left out."""
        return processes(f"sleep\0{self.seconds}\0".encode())


def processes(cmdline: bytes) -> list[int]:
    """Pids of the living processes with this command line."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and (folder / "cmdline").read_bytes() == cmdline:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.fixture
def sleepers() -> Iterator[Sleepers]:
    """A number of seconds for this test alone; it fails if something still sleeps for so long at its end."""
    made = Sleepers(f"{1000 + time.monotonic_ns() % 10**9 / 10**9:.9f}")
    yield made
    assert made() == []


@pytest.fixture(name="until")
def _until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    return until


@pytest.fixture(name="processes")
def _processes() -> Callable[[bytes], list[int]]:
    return processes
