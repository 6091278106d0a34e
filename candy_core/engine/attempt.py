"""One attempt at a call: run the executor, turn faults into outcomes, and see that every item gets one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import TypeAlias, cast

import structlog
from attrs import define, evolve, field, frozen

from candy_core.engine.batching import RunningItem
from candy_core.engine.item_resolution import HostedExecutor
from candy_core.errors import NotConfigured
from candy_core.faults import secrets_of, traceback_of
from candy_core.hosting import PluginDown
from candy_core.hosting.calls import Calls
from candy_core.judging import item_sentences
from candy_core.metrics import Metrics
from candy_core.model.task import Locale, Outcome, Reason
from candy_core.ports.context import Logger
from candy_core.ports.executor import BatchExecutor, Executor, Run
from candy_core.store.result_text import result_text

ItemOutcome: TypeAlias = "tuple[RunningItem, Outcome, bytes]"
"""An item, its outcome, and its result as JSON."""

_RETRIABLE = (Reason.UNREACHABLE, Reason.TIMEOUT)


@frozen(kw_only=True)
class CallContext:
    """What all attempts of a claim at one executor share.

    ``on_result`` is given each item's final outcome, ``on_done`` an attempt that has ended; neither waits for anything.
    ``spawn`` runs something beside the attempt that ends with the claim.
    """

    calls: Calls
    metrics: Metrics
    hosted: HostedExecutor
    log: Logger
    on_result: Callable[[ItemOutcome], None]
    on_done: Callable[[Attempt], None]
    spawn: Callable[[Coroutine[None, None, None]], None]


@define(eq=False)
class Attempt:
    """Runs ``batch``, once, in a task of its own. Each item gets exactly one outcome, also on a cancel.

    It is passed on from within the call, in the moment in which it comes.
    """

    context: CallContext
    run: Run
    batch: Sequence[RunningItem]
    to_retry: list[ItemOutcome] = field(factory=list, init=False)
    """Items whose outcome is not final, since they may be tried again."""
    _pending: dict[int, RunningItem] = field(init=False)
    _call: asyncio.Task[None] | None = field(default=None, init=False)
    _instead: Outcome | None = field(default=None, init=False)
    _done: bool = field(default=False, init=False)

    @_pending.default
    def _all_by_index(self) -> dict[int, RunningItem]:
        return {running.index: running for running in self.batch}

    @property
    def is_batch(self) -> bool:
        """Whether the executor runs many items in one call, so that one that is late does not hold up the others."""
        return self.context.hosted.spec.batch_key is not None

    def start(self) -> None:
        """Begin."""
        self._call = self.context.calls.start(self._run_batch() if self.is_batch else self._run_one(self.batch[0]))
        self._call.add_done_callback(self._call_ended)

    @property
    def deadline(self) -> float:
        """When its time is up, on the loop's clock; the items of a call share it (``batching``)."""
        return self.batch[0].deadline

    async def stop_late(self) -> None:
        """End it past its deadline. A batch is given no more time; a single item may report how it cleaned up."""
        first = self.batch[0]
        sentence = item_sentences.timed_out(self.run.locale, round(first.deadline - first.started, 2))
        late = Outcome.failed(Reason.TIMEOUT, sentence)
        if self.is_batch:
            self._finish_pending(late)
        await self.stop(late)

    async def stop(self, instead: Outcome) -> None:
        """End it early: cancel the call, wait for it to end, and abandon one that does not.

        ``instead`` is the outcome of the items that have none yet. What the executor reports of its cleaning up is
        kept; status and reason are not its affair.
        """
        if self._done or self._call is None:
            return
        self._instead = self._instead or instead
        if not await self.context.calls.stop(self._call, self.run.task_id) and not self._done:
            context = self.context
            context.metrics.items_abandoned.labels(context.hosted.name).inc(len(self.batch))
            items = [running.planned.id for running in self.batch][:20]
            context.log.error("item_abandoned", plugin=context.hosted.plugin, items=items)
        self.leave()

    def leave(self) -> None:
        """Count it as done, whether its call has ended or not."""
        if not self._done:
            self._done = True
            try:
                if self._pending:
                    self._finish_pending(self._instead or canceled(self.run.locale))
            finally:
                self.context.on_done(self)

    async def _run_one(self, running: RunningItem) -> None:
        structlog.contextvars.bind_contextvars(item_id=running.planned.id)
        executor = cast("Executor[object]", await self.context.hosted.port())
        self._accept(running, await executor.run(running.item, self.run))

    async def _run_batch(self) -> None:
        hosted = self.context.hosted
        executor = cast("BatchExecutor[object]", await hosted.port())
        answers = executor.run_batch([running.item for running in self.batch], self.run)
        async for index, outcome in answers:
            if not isinstance(index, int):
                raise TypeError(f"{hosted.plugin} gave {type(index).__name__} where an item's index was expected")
            running = self._pending.get(index)
            self._accept(running, outcome)
            if self._instead is not None:  # it has cleaned up, and is not to go on with the others
                if isinstance(answers, AsyncGenerator):
                    await answers.aclose()
                return
            if running is not None and not self._pending:
                asyncio.get_running_loop().call_soon(self._end_idle_call)

    def _end_idle_call(self) -> None:
        """Stop a call that goes on although every item has its outcome."""
        if not self._done and not cast("asyncio.Task[None]", self._call).done():
            self.context.spawn(self.stop(canceled(self.run.locale)))

    def _accept(self, running: RunningItem | None, outcome: object) -> None:
        """Take what the plugin gives for an item. Raises, at the plugin's own cost, for no outcome and for no JSON."""
        if not isinstance(outcome, Outcome):
            raise TypeError(f"{self.context.hosted.plugin} gave {type(outcome).__name__} where an Outcome was expected")
        if running is None or running.index not in self._pending:
            return
        if self._instead is not None:
            outcome = evolve(self._instead, details=outcome.details, stats=outcome.stats, value=outcome.value)
        self._finish(running, outcome, final=self._instead is not None)

    def _finish(self, running: RunningItem, outcome: Outcome, *, final: bool) -> None:
        text = result_text(running.planned, outcome, asyncio.get_running_loop().time() - running.started)
        del self._pending[running.index]
        if not final and running.attempt <= running.planned.retries and outcome.reason in _RETRIABLE:
            self.to_retry.append((running, outcome, text))
        else:
            self.context.on_result((running, outcome, text))

    def _finish_pending(self, outcome: Outcome) -> None:
        for running in list(self._pending.values()):
            self._finish(running, outcome, final=True)

    def _call_ended(self, call: asyncio.Task[None]) -> None:
        error = None if call.cancelled() else call.exception()  # looked at, so that the loop does not complain
        if self._done:
            return
        if self._instead is None and (self._pending or error is not None):
            self._instead = self._fault(error, cancelled=call.cancelled())
        self.leave()

    def _fault(self, error: BaseException | None, *, cancelled: bool) -> Outcome:
        """The outcome of items whose call ended without one."""
        hosted, locale = self.context.hosted, self.run.locale
        if cancelled:  # by nobody here
            return _plugin_error(item_sentences.plugin_error(locale, hosted.plugin))
        if error is None:
            return _plugin_error(item_sentences.not_answered(locale, hosted.plugin))
        if isinstance(error, PluginDown):
            return _plugin_error(item_sentences.plugin_down(locale, hosted.plugin, str(error)))
        if isinstance(error, NotConfigured):
            return Outcome.failed(Reason.NOT_CONFIGURED, str(error))
        hidden = secrets_of([hosted.settings, *(running.item.params for running in self.batch)])
        self.context.log.error("plugin_error", plugin=hosted.plugin, exception=traceback_of(error, hidden=hidden))
        return _plugin_error(item_sentences.plugin_error(locale, hosted.plugin))


def _plugin_error(sentence: str) -> Outcome:
    return Outcome.failed(Reason.PLUGIN_ERROR, sentence)


def canceled(locale: Locale) -> Outcome:
    """The outcome of an item that a cancel kept from ending."""
    return Outcome.failed(Reason.CANCELED, item_sentences.canceled(locale))
