"""An executor that does everything right, and what it takes to make it do one thing wrong."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import frozen

from candy_core import ExecutorSpec, Health, Item, ItemStatus, Json, Outcome, PluginContext, Reason, Run, Secret
from candy_core.testing.executor import Case, Oversized, Subject

TOKEN = "hunter2-hunter2"
OVERSIZE = 40_000_000
"""Bytes of an oversized output, twice what is allowed here."""

RunItem = Callable[[Item[Any], Run, PluginContext, Any], Awaitable[Outcome]]


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


async def run_well(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
    """Run an item. ``do`` is the kind of item."""
    run.logger.info("run", params=item.params)
    logging.getLogger("a library's own").warning("run")
    if item.params.do == "fail":
        return failed(Reason.UNREACHABLE)
    if item.params.do == "wait":
        return await in_a_process("import time; time.sleep(60)")
    if item.params.do == "oversized":
        return await in_a_process(f"import sys; sys.stdout.write('x' * {OVERSIZE})", context.limits.output)
    return normal(item.params.text)


async def in_a_process(code: str, limit: int = 1000) -> Outcome:
    """The output of a Python program, up to ``limit`` bytes."""
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
        # The transport does not close its pipe by itself.
        process._transport.close()  # type: ignore[attr-defined]  # asyncio has no public way
        await process.wait()


class SingleExecutor:
    """An executor that runs one item at a time."""

    def __init__(self, run_item: RunItem, context: PluginContext, settings: Any) -> None:
        self.run_item, self.context, self.settings = run_item, context, settings

    async def run(self, item: Item[Any], run: Run) -> Outcome:
        return await self.run_item(item, run, self.context, self.settings)


class BatchingExecutor(SingleExecutor):
    """An executor that runs many items in one call."""

    async def run_batch(self, items: Sequence[Item[Any]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        for item in items:
            yield item.index, await self.run_item(item, run, self.context, self.settings)


def opening(executor: Callable[..., object], run_item: RunItem) -> Callable[[PluginContext, Any], Any]:
    @asynccontextmanager
    async def open_(context: PluginContext, settings: Any) -> AsyncIterator[Any]:
        yield executor(run_item, context, settings)

    return open_


async def healthy(executor: object) -> Health:
    return Health(ok=True)


def batch_key(params: Params) -> str:
    return params.do


def says(number: int) -> Case:
    return Case(params={"do": "say", "text": f"value {number}"}, value=f"value {number}")


def subject(run_item: RunItem = run_well, *, batch: bool = False, open_: Any = None, **changes: Any) -> Subject:
    """The well-behaved executor, with some fields of its spec or of its subject changed."""
    executor = BatchingExecutor if batch else SingleExecutor
    of_spec: dict[str, Any] = {
        "name": "echo",
        "params": Params,
        "settings": Settings,
        "open": open_ or opening(executor, run_item),
        "check": healthy,
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
            Case(params={"do": "fail"}, reason=Reason.UNREACHABLE, matches="does not work"),
            Case(params={"speak": "up"}, reason=Reason.BAD_PARAMS),
        ],
        "endless": [waiting],
        "oversized": [
            Oversized(params={"do": "oversized"}, reason=Reason.TOO_LARGE, matches="cut at", memory=OVERSIZE // 2)
        ],
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
