"""Runs metric items: sends each query once for all items that share it, and judges the answer for each of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote_plus

from candy_core import Health, Item, ItemStatus, Outcome, PluginContext, Reason, Run
from candy_kit_promql import texts
from candy_kit_promql.client import Endpoint, open_endpoints
from candy_kit_promql.datasource import MetricSettings
from candy_kit_promql.dialect import Dialect
from candy_kit_promql.emptiness import Emptiness, explain
from candy_kit_promql.failure import QueryFailed
from candy_kit_promql.large_answer import LargeAnswerLock
from candy_kit_promql.outcomes import empty_outcome, failed_outcome, judge_answer, judge_large_answer, read_answer
from candy_kit_promql.params import MetricParams, dedup_key
from candy_kit_promql.query_batcher import THREAD_BYTES, QueryBatcher, SharedQuery
from candy_kit_promql.time_range import Range, TimeRange, independent_of_end, time_range_of
from candy_kit_promql.wire import Buffer, Reply, read_data

CHECK_SECONDS = 3.0
"""Less than the five that the core waits, so that the check can name a server that does not answer."""


class MetricExecutor:
    """A ``BatchExecutor`` for every server that speaks Prometheus' query API.

    The items of a call have one datasource. They share one query, or each query may be part of a batch.
    """

    def __init__(
        self, endpoints: Mapping[str, Endpoint], dialect: Dialect, variable: str, settings: MetricSettings
    ) -> None:
        self._endpoints = endpoints
        self._default = settings.default()
        self._dialect = dialect
        self._variable = variable
        self._batcher = QueryBatcher(dialect, settings.batch_size, self._run_query, _failed)

    async def run_batch(self, items: Sequence[Item[MetricParams]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        """Send each different query of ``items`` once, for ``run.time``; yield an outcome for each item."""
        name = items[0].params.datasource
        endpoint = self._endpoints.get(self._default if name is None else name)
        if endpoint is None:
            for item in items:
                yield item.index, self._no_datasource(item.params, run)
            return
        queries = _shared_queries(items)
        if len(queries) == 1:
            for item, outcome in zip(items, await self._run_query(endpoint, queries[0], run), strict=True):
                yield item.index, outcome
            return
        results: asyncio.Queue[tuple[SharedQuery, Sequence[Outcome]] | None] = asyncio.Queue()

        async def run_queries() -> None:
            try:
                await self._batcher.run(
                    endpoint, queries, run, lambda query, outcomes: results.put_nowait((query, outcomes))
                )
            finally:
                results.put_nowait(None)

        # Not a TaskGroup: it would treat the closing of this generator at a yield as a failure.
        running = asyncio.get_running_loop().create_task(run_queries())
        try:
            while (result := await results.get()) is not None:
                for item, outcome in zip(result[0].items, result[1], strict=True):
                    yield item.index, outcome
            await running
        finally:
            running.cancel()
            await asyncio.wait((running,))

    async def _run_query(self, endpoint: Endpoint, query: SharedQuery, run: Run) -> list[Outcome]:
        try:
            async with endpoint.slots:
                return await self._outcomes(endpoint, [item.params for item in query.items], run)
        except QueryFailed as failure:
            return _failed(endpoint, query, run, failure)

    async def _outcomes(self, endpoint: Endpoint, items: list[MetricParams], run: Run) -> list[Outcome]:
        with endpoint.large_answer_lock() as lock:
            reply, body, until = await self._query(endpoint, items[0], run, lock)
            if len(body) > THREAD_BYTES:
                large = await asyncio.to_thread(judge_large_answer, reply, items, run.locale, until)
                if isinstance(large, list):
                    return large
                answer = large
            else:
                answer = read_answer(reply, until)
            if not answer.empty or answer.partial is not None:
                return [judge_answer(answer, params, run.locale) for params in items]
            lock.release()  # the probes take time, and other queries wait for it
            why = await self._explain_empty(endpoint, items[0], reply, run, lock)
            return [empty_outcome(answer, why, params, run.locale) for params in items]

    async def _query(
        self, endpoint: Endpoint, params: MetricParams, run: Run, lock: LargeAnswerLock
    ) -> tuple[Reply, Buffer, float]:
        """The answer, and the time of the last point to use."""
        if params.range is None:
            url, when, until = endpoint.query_url, f"time={run.time:.3f}", math.inf
        else:
            time_range = await self._time_range(params.query, params.range, run)
            url, when, until = endpoint.range_url, time_range.form(), time_range.until
        form = f"query={quote_plus(params.query)}&{when}".encode()
        return *await endpoint.request(url, form + self._dialect.form, run.remaining(), lock), until

    async def _time_range(self, query: str, params: Range, run: Run) -> TimeRange:
        age = max(0.0, time.time() - run.time)
        if age < self._dialect.hidden_seconds and await asyncio.to_thread(independent_of_end, query):
            return time_range_of(params, run.time, age)
        return time_range_of(params, run.time)

    async def _explain_empty(
        self, endpoint: Endpoint, params: MetricParams, reply: Reply, run: Run, lock: LargeAnswerLock
    ) -> Emptiness:
        read = self._dialect.series_read(reply, read_data(reply.data))
        make = self._dialect.blind_probe if read is None else self._dialect.probe
        probe = make(endpoint, run.time, run.remaining(), lock)
        selection = await asyncio.to_thread(self._dialect.selection, params.query)  # the first time it imports a parser
        if selection is not None and params.range is not None:
            selection = selection.widened(params.range.lookback.seconds)
        return await explain(selection, read, probe)

    def _no_datasource(self, params: MetricParams, run: Run) -> Outcome:
        names = ", ".join(sorted(self._endpoints))
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
        """Whether every configured datasource answers a query; ``ok`` if none is configured: the items report that."""
        async with asyncio.TaskGroup() as group:  # in parallel, since the core's time limit is for all of them
            checks = [group.create_task(_check(endpoint)) for endpoint in self._endpoints.values()]
        problems = [problem for check in checks if (problem := check.result())]
        return Health(ok=not problems, detail="; ".join(problems))


async def _check(endpoint: Endpoint) -> str:
    try:
        await endpoint.request(endpoint.query_url, b"query=1", CHECK_SECONDS)
    except QueryFailed as failure:
        values = {"datasource": endpoint.name, "host": endpoint.host, "text": failure.text, **failure.values}
        return failure.msgid.format_map(values)
    return ""


def _shared_queries(items: Sequence[Item[MetricParams]]) -> list[SharedQuery]:
    by_key: dict[object, list[Item[MetricParams]]] = {}
    for item in items:
        by_key.setdefault(dedup_key(item.params), []).append(item)
    return [SharedQuery(tuple(group)) for group in by_key.values()]


def _failed(endpoint: Endpoint, query: SharedQuery, run: Run, failure: QueryFailed) -> list[Outcome]:
    return [failed_outcome(failure, endpoint.name, endpoint.host, item.params, run.locale) for item in query.items]


@asynccontextmanager
async def open_executor(
    context: PluginContext, settings: MetricSettings, dialect: Dialect
) -> AsyncIterator[MetricExecutor]:
    """What a plugin's ``open`` returns: an executor for the datasources of its settings."""
    async with open_endpoints(context, settings.named(), connections=settings.max_connections) as endpoints:
        yield MetricExecutor(endpoints, dialect, f"CANDY_{context.plugin.upper()}_URL", settings)
