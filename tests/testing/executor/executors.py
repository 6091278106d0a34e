"""An executor that does everything right, and what is needed to make it do one thing wrong."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import frozen

from candy_core import ExecutorSpec, Health, Item, ItemStatus, Json, Outcome, PluginContext, Reason, Run, Secret
from candy_core.testing.executor import Case, Flood, Subject

TOKEN = "hunter2-hunter2"
FLOOD = 40_000_000
"""Bytes of a flood; twice of what is allowed here."""

Ask = Callable[[Item[Any], Run, PluginContext, Any], Awaitable[Outcome]]


@frozen(kw_only=True)
class Params:
    do: str = "say"
    text: str = ""
    token: Secret | None = None


@frozen(kw_only=True)
class Settings:
    greeting: str = ""
    token: Secret | None = None


def normal(value: str) -> Outcome:
    return Outcome(status=ItemStatus.NORMAL, reason=Reason.OK, value=value)


def failed(reason: str, message: str = "it does not work") -> Outcome:
    return Outcome(status=ItemStatus.FAILED, reason=reason, message=message)


async def ask_well(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
    """What an item gets. ``do`` says which kind of item it is."""
    run.logger.info("asked", params=item.params)
    logging.getLogger("a library's own").warning("asked")
    if item.params.do == "fail":
        return failed(Reason.UNREACHABLE)
    if item.params.do == "wait":
        return await in_a_process("import time; time.sleep(60)")
    if item.params.do == "flood":
        return await in_a_process(f"import sys; sys.stdout.write('x' * {FLOOD})", context.limits.output)
    return normal(item.params.text)


async def in_a_process(code: str, limit: int = 1000) -> Outcome:
    """What a Python program prints, as far as ``limit``."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env={}
        )
    )
    process = None
    try:
        process = await asyncio.shield(starting)
        assert process.stdout is not None
        text = await process.stdout.read(limit)
        more = await process.stdout.read(1)
        return failed(Reason.TOO_LARGE, f"cut at {limit} bytes") if more else normal(text.decode(errors="replace"))
    finally:
        if process is None:
            process = await starting
        if process.returncode is None:
            process.kill()
        # Only then does the transport close its pipe.
        process._transport.close()  # type: ignore[attr-defined]  # asyncio has no public way
        await process.wait()


class One:
    """An executor that runs one item at a time."""

    def __init__(self, ask: Ask, context: PluginContext, settings: Any) -> None:
        self.ask, self.context, self.settings = ask, context, settings

    async def run(self, item: Item[Any], run: Run) -> Outcome:
        return await self.ask(item, run, self.context, self.settings)


class Several(One):
    """One that runs many in one call."""

    async def run_batch(self, items: Sequence[Item[Any]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        for item in items:
            yield item.index, await self.ask(item, run, self.context, self.settings)


def opening(executor: Callable[..., object], ask: Ask) -> Callable[[PluginContext, Any], Any]:
    @asynccontextmanager
    async def open_(context: PluginContext, settings: Any) -> AsyncIterator[Any]:
        yield executor(ask, context, settings)

    return open_


async def well(executor: object) -> Health:
    return Health(ok=True)


def batch_key(params: Params) -> str:
    return params.do


def says(number: int) -> Case:
    return Case(params={"do": "say", "text": f"value {number}"}, value=f"value {number}")


def subject(ask: Ask = ask_well, *, batch: bool = False, open_: Any = None, **changes: Any) -> Subject:
    """The well-behaved executor, with some fields of its spec or of its subject changed."""
    executor = Several if batch else One
    of_spec: dict[str, Any] = {
        "name": "echo",
        "params": Params,
        "settings": Settings,
        "open": open_ or opening(executor, ask),
        "check": well,
    }
    if batch:
        of_spec |= {"batch_key": batch_key, "max_batch": 7}
    of_spec |= {key: changes.pop(key) for key in list(changes) if key in SPEC_FIELDS}
    waiting: dict[str, Json] = {"do": "wait", "token": TOKEN}
    given: dict[str, Any] = {
        "plugin": "echo",
        "settings": {"greeting": "hello", "token": TOKEN},
        "ordinary": [Case(params={"text": "hello", "token": TOKEN}, value="hello")],
        "failures": [
            Case(params={"do": "fail"}, reason=Reason.UNREACHABLE, told="does not work"),
            Case(params={"speak": "up"}, reason=Reason.BAD_PARAMS),
        ],
        "endless": [waiting],
        "floods": [Flood(params={"do": "flood"}, reason=Reason.TOO_LARGE, told="cut at", memory=FLOOD // 2)],
        "numbered": says,
        "secrets": [TOKEN],
    }
    return Subject(spec=ExecutorSpec(**of_spec), **(given | changes))


SPEC_FIELDS = {
    "name",
    "params",
    "aliases",
    "scopes",
    "batch_key",
    "dedup_key",
    "concurrency_key",
    "max_batch",
    "max_concurrent",
    "check",
}
