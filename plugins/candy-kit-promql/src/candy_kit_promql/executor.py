"""Runs metric items: asks once for items that ask the same, and judges the answer for each."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote_plus

from candy_core import Health, Item, ItemStatus, Outcome, PluginContext, Reason, Run
from candy_kit_promql import texts
from candy_kit_promql.client import Endpoint, Endpoints, open_endpoints
from candy_kit_promql.crowd import ASIDE, Crowd, Question
from candy_kit_promql.datasource import MetricSettings
from candy_kit_promql.dialect import Dialect
from candy_kit_promql.emptiness import Emptiness, explain
from candy_kit_promql.failure import QueryFailed
from candy_kit_promql.finding import answer_of, failed, judged, judged_large, unfilled
from candy_kit_promql.large import Turn
from candy_kit_promql.params import MetricParams, dedup_key
from candy_kit_promql.stretch import Range, Stretch, each_point_by_itself, stretch_of
from candy_kit_promql.wire import Buffer, Reply, read_data

CHECK_SECONDS = 3.0
"""Less than the five that the core waits, so that a server which does not answer is named."""


class MetricExecutor:
    """A ``BatchExecutor`` for every server that speaks Prometheus' query API.

    The items of a call ask one datasource; what they ask is the same, or may be asked together.
    """

    def __init__(self, endpoints: Endpoints, dialect: Dialect, variable: str, settings: MetricSettings) -> None:
        self._endpoints = endpoints
        self._dialect = dialect
        self._variable = variable
        self._crowd = Crowd(dialect, settings.batch_size, self._alone, _failed)

    async def run_batch(self, items: Sequence[Item[MetricParams]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        """Ask each question of ``items`` once, at ``run.time``, and yield an outcome for each of them."""
        endpoint = self._endpoints.find(items[0].params.datasource)
        if endpoint is None:
            for item in items:
                yield item.index, self._nowhere(item.params, run)
            return
        questions = _questions(items)
        if len(questions) == 1:
            for item, outcome in zip(items, await self._alone(endpoint, questions[0], run), strict=True):
                yield item.index, outcome
            return
        told: asyncio.Queue[tuple[Question, Sequence[Outcome]] | None] = asyncio.Queue()

        async def ask() -> None:
            try:
                await self._crowd.ask(
                    endpoint, questions, run, lambda question, outcomes: told.put_nowait((question, outcomes))
                )
            finally:
                told.put_nowait(None)

        # Not a TaskGroup: a generator may be left at its yield, which a group takes for a failure of its own.
        asking = asyncio.get_running_loop().create_task(ask())
        try:
            while (known := await told.get()) is not None:
                for item, outcome in zip(known[0].items, known[1], strict=True):
                    yield item.index, outcome
            await asking
        finally:
            asking.cancel()
            await asyncio.wait((asking,))

    async def _alone(self, endpoint: Endpoint, question: Question, run: Run) -> list[Outcome]:
        try:
            async with endpoint.room:
                return await self._outcomes(endpoint, [item.params for item in question.items], run)
        except QueryFailed as failure:
            return _failed(endpoint, question, run, failure)

    async def _outcomes(self, endpoint: Endpoint, askers: list[MetricParams], run: Run) -> list[Outcome]:
        with endpoint.turn() as turn:
            reply, body, until = await self._ask(endpoint, askers[0], run, turn)
            if len(body) > ASIDE:
                large = await asyncio.to_thread(judged_large, reply, askers, run.locale, until)
                if isinstance(large, list):
                    return large
                answer = large
            else:
                answer = answer_of(reply, until)
            if not answer.empty or answer.partial is not None:
                return [judged(answer, params, run.locale) for params in askers]
            turn.give_back()  # to ask on takes time, and others wait for their turn
            why = await self._explained(endpoint, askers[0], reply, run, turn)
            return [unfilled(answer, why, params, run.locale) for params in askers]

    async def _ask(self, endpoint: Endpoint, params: MetricParams, run: Run, turn: Turn) -> tuple[Reply, Buffer, float]:
        """The answer, and until when its points count."""
        if params.range is None:
            url, when, until = endpoint.query_url, f"time={run.time:.3f}", math.inf
        else:
            stretch = await self._stretch(params.query, params.range, run)
            url, when, until = endpoint.range_url, stretch.form(), stretch.until
        form = f"query={quote_plus(params.query)}&{when}".encode()
        return *await endpoint.ask(url, form + self._dialect.form, run.remaining(), turn), until

    async def _stretch(self, query: str, asked: Range, run: Run) -> Stretch:
        past = max(0.0, time.time() - run.time)
        if past < self._dialect.hides and await asyncio.to_thread(each_point_by_itself, query):
            return stretch_of(asked, run.time, past)
        return stretch_of(asked, run.time)

    async def _explained(
        self, endpoint: Endpoint, params: MetricParams, reply: Reply, run: Run, turn: Turn
    ) -> Emptiness:
        read = self._dialect.series_read(reply, read_data(reply.data))
        make = self._dialect.blind_probe if read is None else self._dialect.probe
        probe = make(endpoint, run.time, run.remaining(), turn)
        selection = await asyncio.to_thread(self._dialect.selection, params.query)  # the first time it imports a parser
        if selection is not None and params.range is not None:
            selection = selection.widened(params.range.lookback.seconds)
        return await explain(selection, read, probe)

    def _nowhere(self, params: MetricParams, run: Run) -> Outcome:
        names = ", ".join(sorted(self._endpoints.by_name))
        reason = Reason.NOT_CONFIGURED
        if not names:
            message = texts.sentence(run.locale, texts.NOT_CONFIGURED, variable=self._variable)
        elif params.datasource is None:
            message = texts.sentence(run.locale, texts.NO_DEFAULT, variable=self._variable, names=names)
        else:
            reason = Reason.BAD_PARAMS
            message = texts.sentence(run.locale, texts.UNKNOWN_DATASOURCE, names=names)
        return Outcome(status=ItemStatus.FAILED, reason=reason, message=message, details=f"Query: {params.query}")

    async def health(self) -> Health:
        """Whether every configured datasource answers a query. One without any is able to work: its items say why."""
        async with asyncio.TaskGroup() as group:  # at once, since the core waits for a check as long as for one of them
            asked = [group.create_task(self._ailment(endpoint)) for endpoint in self._endpoints.by_name.values()]
        wrong = [found for each in asked if (found := each.result())]
        return Health(ok=not wrong, detail="; ".join(wrong))

    async def _ailment(self, endpoint: Endpoint) -> str:
        try:
            with endpoint.turn() as turn:
                await endpoint.ask(endpoint.query_url, b"query=1", CHECK_SECONDS, turn)
        except QueryFailed as failure:
            values = {"datasource": endpoint.name, "host": endpoint.host, "text": failure.text, **failure.values}
            return failure.msgid.format_map(values)
        return ""


def _questions(items: Sequence[Item[MetricParams]]) -> list[Question]:
    asked: dict[object, list[Item[MetricParams]]] = {}
    for item in items:
        asked.setdefault(dedup_key(item.params), []).append(item)
    return [Question(tuple(some)) for some in asked.values()]


def _failed(endpoint: Endpoint, question: Question, run: Run, failure: QueryFailed) -> list[Outcome]:
    return [failed(failure, endpoint.name, endpoint.host, item.params, run.locale) for item in question.items]


@asynccontextmanager
async def open_executor(
    context: PluginContext, settings: MetricSettings, dialect: Dialect
) -> AsyncIterator[MetricExecutor]:
    """What a plugin's ``open`` is made of: the datasources of its settings, asked in its dialect."""
    async with open_endpoints(context, settings) as endpoints:
        yield MetricExecutor(endpoints, dialect, f"CANDY_{context.plugin.upper()}_URL", settings)
