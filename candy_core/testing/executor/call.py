"""One call of the executor under test, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

import pytest
from attrs import frozen

from candy_core.errors import NotConfigured
from candy_core.model.task import ItemStatus, Json, Outcome, Reason
from candy_core.ports.executor import BatchExecutor, Executor, Item, Run

Params: TypeAlias = Mapping[str, Json]
T = TypeVar("T")


def fail(*lines: str) -> NoReturn:
    """Fail the test with what was found, what was expected, and what to do."""
    pytest.fail("\n".join(lines), pytrace=False)


def stack_of(task: asyncio.Task[Any]) -> str:
    """The innermost frame of a task, formatted."""
    frames = task.get_stack(limit=1)
    return "".join(traceback.format_stack(frames[0])).rstrip() if frames else "nowhere"


def abandon(task: asyncio.Task[Any]) -> None:
    """End a task that ignores its cancellation, so that the test run does not hang when it closes the loop."""
    coroutine = task.get_coro()
    if coroutine is not None:
        with contextlib.suppress(RuntimeError):  # it ignored that as well
            coroutine.close()
    task.cancel()


async def run_together(*calls: Coroutine[Any, Any, T]) -> list[T]:
    """Run calls at the same time. The first that fails cancels the others."""
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@frozen(kw_only=True)
class CallResult:
    """How a call ended. ``late``: seconds between its deadline or cancellation and its end, 0 if it ended earlier."""

    outcome: Outcome | None
    error: BaseException | None = None
    stopped: bool = False
    late: float = 0.0
    seconds: float = 0.0


class Call:
    """A running call of the executor, in its own task."""

    def __init__(
        self, executor: object, items: Sequence[Item[Any]], run: Run, *, batch: bool, cancel_timeout: float = 5.0
    ) -> None:
        self.outcomes: list[tuple[int, Outcome]] = []
        self.error: BaseException | None = None
        self.run = run
        self._cancel_timeout = cancel_timeout
        self._started = time.monotonic()
        self.task = asyncio.get_running_loop().create_task(self._guarded(executor, items, batch))

    async def _guarded(self, executor: object, items: Sequence[Item[Any]], batch: bool) -> None:
        try:
            if batch:
                async for index, outcome in cast("BatchExecutor[Any]", executor).run_batch(items, self.run):
                    self.outcomes.append((index, outcome))
            else:
                [item] = items
                self.outcomes.append((item.index, await cast("Executor[Any]", executor).run(item, self.run)))
        except NotConfigured as error:
            outcome = Outcome(status=ItemStatus.FAILED, reason=Reason.NOT_CONFIGURED, message=str(error))
            self.outcomes += [(item.index, outcome) for item in items]
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is None or not current.cancelling():
                self.error = error  # it was not canceled
            raise
        except BaseException as error:  # noqa: BLE001  # the suite checks whatever a plugin raises
            self.error = error

    async def result(self) -> CallResult:
        """Wait for its end, and cancel it at its deadline as the core does."""
        await asyncio.wait((self.task,), timeout=self.run.remaining())
        if self.task.done():
            return self._result(stopped=False, late=0.0)
        return await self.stop()

    async def stop(self) -> CallResult:
        """Cancel it. A call that does not end fails the test."""
        canceled = time.monotonic()
        running = not self.task.done()
        self.task.cancel()
        await asyncio.wait((self.task,), timeout=self._cancel_timeout)
        if not self.task.done():
            stack = stack_of(self.task)
            abandon(self.task)
            fail(
                f"a canceled call was still running after {self._cancel_timeout:g} s: the core would abandon it.",
                "Let asyncio.CancelledError pass, or clean up briefly and end. It is here:",
                stack,
            )
        return self._result(stopped=running, late=time.monotonic() - canceled)

    def _result(self, *, stopped: bool, late: float) -> CallResult:
        return CallResult(
            outcome=self.outcomes[0][1] if self.outcomes else None,
            error=self.error,
            stopped=stopped,
            late=late,
            seconds=time.monotonic() - self._started,
        )
