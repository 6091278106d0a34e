"""One attempt at a call: ask the executor, turn faults into outcomes, and see that every item gets one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeAlias, cast

import structlog
from attrs import define, evolve, field, frozen

from candy_core.engine.gathering import Part
from candy_core.engine.preparing import HostedExecutor
from candy_core.engine.result_text import result_text
from candy_core.errors import NotConfigured
from candy_core.hosting import PluginDown
from candy_core.hosting.calls import Calls
from candy_core.judge import item_sentences
from candy_core.metrics import Metrics
from candy_core.model.task import Locale, Outcome, Reason
from candy_core.ports.context import Logger
from candy_core.ports.executor import BatchExecutor, Executor, Run
from candy_core.registry.faults import secrets_of, traceback_of

Told: TypeAlias = "tuple[Part, Outcome, bytes]"
"""A part, what became of it, and its result as JSON."""


@frozen(kw_only=True)
class Asking:
    """What all attempts of a claim at one executor share.

    ``tell`` hears each part's outcome, and whether that is the last word on it; ``answered``, that everything is told
    while the call still goes on; ``over``, that the attempt has let go of its place. None of them waits for anything.
    """

    calls: Calls
    metrics: Metrics
    hosted: HostedExecutor
    log: Logger
    tell: Callable[[Attempt, Told, bool], None]
    answered: Callable[[Attempt], None]
    over: Callable[[Attempt], None]


@define(eq=False)
class Attempt:
    """Asks about ``parts``, once, in a task of its own. Each part's outcome is told exactly once, also on a cancel.

    An answer is told from within the call, in the moment in which it comes.
    """

    asking: Asking
    run: Run
    parts: Sequence[Part]
    again: list[Told] = field(factory=list, init=False)
    """What whoever is told wants to have asked again, once this is over."""
    _pending: dict[int, Part] = field(init=False)
    _call: asyncio.Task[None] | None = field(default=None, init=False)
    _instead: Outcome | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)

    @_pending.default
    def _all_by_index(self) -> dict[int, Part]:
        return {part.index: part for part in self.parts}

    @property
    def batch(self) -> bool:
        """Whether the executor runs many items in one call, so that one that is late does not hold up the others."""
        return self.asking.hosted.spec.batch_key is not None

    def start(self) -> None:
        """Begin."""
        self._call = self.asking.calls.start(self._ask_batch() if self.batch else self._ask_one(self.parts[0]))
        self._call.add_done_callback(self._ended)

    @property
    def deadline(self) -> float:
        """When its time is over, on the loop's clock; the parts of a call have one (``gathering``)."""
        return self.parts[0].deadline

    async def stop_late(self) -> None:
        """End it, its time being over. Of a batch nothing more is waited for; one item may tell how it cleaned up."""
        late = self._late(self.parts[0])
        if self.batch:
            self._tell_pending(late)
        await self.stop(late)

    async def stop(self, instead: Outcome) -> None:
        """End it early: cancel the call, wait for it to end, and leave behind one that does not.

        ``instead`` is the outcome of what is not told yet. What the executor says of its cleaning up is kept; status
        and reason are not its affair.
        """
        if self._over or self._call is None:
            return
        self._instead = self._instead or instead
        if not await self.asking.calls.stop(self._call, self.run.task_id) and not self._over:
            asking = self.asking
            asking.metrics.items_abandoned.labels(asking.hosted.name).inc(len(self.parts))
            items = [part.planned.id for part in self.parts][:20]
            asking.log.error("item_abandoned", plugin=asking.hosted.plugin, items=items)
        self.leave()

    def leave(self) -> None:
        """Have it be over, whether its call has ended or not."""
        if not self._over:
            self._over = True
            try:
                if self._pending:
                    self._tell_pending(self._instead or canceled(self.run.locale))
            finally:
                self.asking.over(self)

    def _late(self, part: Part) -> Outcome:
        sentence = item_sentences.timed_out(self.run.locale, round(part.deadline - part.started, 2))
        return Outcome.failed(Reason.TIMEOUT, sentence)

    async def _ask_one(self, part: Part) -> None:
        structlog.contextvars.bind_contextvars(item_id=part.planned.id)
        executor = cast("Executor[object]", await self.asking.hosted.port())
        self._take(part, await executor.run(part.item, self.run))

    async def _ask_batch(self) -> None:
        hosted = self.asking.hosted
        executor = cast("BatchExecutor[object]", await hosted.port())
        answers = executor.run_batch([part.item for part in self.parts], self.run)
        async for index, outcome in answers:
            if not isinstance(index, int):
                raise TypeError(f"{hosted.plugin} gave {type(index).__name__} where an item's index was expected")
            part = self._pending.get(index)
            self._take(part, outcome)
            if self._instead is not None:  # it has cleaned up, and is not to go on with the others
                if isinstance(answers, AsyncGenerator):
                    await answers.aclose()
                return
            if part is not None and not self._pending:
                asyncio.get_running_loop().call_soon(self._still_going)

    def _still_going(self) -> None:
        if not self._over and not cast("asyncio.Task[None]", self._call).done():
            self.asking.answered(self)

    def _take(self, part: Part | None, outcome: object) -> None:
        """Tell what the plugin says of a part. Raises, at the plugin's own cost, for no outcome and for no JSON."""
        if not isinstance(outcome, Outcome):
            raise TypeError(f"{self.asking.hosted.plugin} gave {type(outcome).__name__} where an Outcome was expected")
        if part is None or part.index not in self._pending:
            return
        if self._instead is not None:
            outcome = evolve(self._instead, details=outcome.details, stats=outcome.stats, value=outcome.value)
        self._tell(part, outcome, last=self._instead is not None)

    def _tell(self, part: Part, outcome: Outcome, *, last: bool) -> None:
        text = result_text(part.planned, outcome, asyncio.get_running_loop().time() - part.started)
        del self._pending[part.index]
        self.asking.tell(self, (part, outcome, text), last)

    def _tell_pending(self, outcome: Outcome) -> None:
        for part in list(self._pending.values()):
            self._tell(part, outcome, last=True)

    def _ended(self, call: asyncio.Task[None]) -> None:
        error = None if call.cancelled() else call.exception()  # looked at, so that the loop does not complain
        if self._over:
            return
        if self._instead is None and (self._pending or error is not None):
            self._instead = self._fault(error, cancelled=call.cancelled())
        self.leave()

    def _fault(self, error: BaseException | None, *, cancelled: bool) -> Outcome:
        """What is said of the parts of a call that ended without a word on them."""
        hosted, locale = self.asking.hosted, self.run.locale
        if cancelled:  # by nobody here
            return _plugin_error(item_sentences.plugin_error(locale, hosted.plugin))
        if error is None:
            return _plugin_error(item_sentences.not_answered(locale, hosted.plugin))
        if isinstance(error, PluginDown):
            return _plugin_error(item_sentences.plugin_down(locale, hosted.plugin, str(error)))
        if isinstance(error, NotConfigured):
            return Outcome.failed(Reason.NOT_CONFIGURED, str(error))
        hidden = secrets_of([hosted.settings, *(part.item.params for part in self.parts)])
        self.asking.log.error("plugin_error", plugin=hosted.plugin, exception=traceback_of(error, hidden=hidden))
        return _plugin_error(item_sentences.plugin_error(locale, hosted.plugin))


def _plugin_error(sentence: str) -> Outcome:
    return Outcome.failed(Reason.PLUGIN_ERROR, sentence)


def canceled(locale: Locale) -> Outcome:
    """The outcome of an item that a cancel kept from ending."""
    return Outcome.failed(Reason.CANCELED, item_sentences.canceled(locale))
