"""Sends many different queries to one datasource in few requests; each item gets the outcome of an individual query.

What a batch cannot answer with certainty is queried again without it:

- A batch that is rejected, unreadable or partial is halved until the query that causes it is on its own.
- A batch that takes longer than :data:`BATCH_SECONDS` is given up, and each of its queries sent individually: no query
  is delayed longer than that by its neighbors. For :data:`COOLDOWN_SECONDS` the datasource then gets no batches.
- The queries of a batch that is too large, forbidden or unanswered are sent individually at once.
- A query whose result is empty is sent individually, for the server's own counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from attrs import define, field, frozen

from candy_core import Item, Locale, Outcome, Reason, Run
from candy_kit_promql import texts
from candy_kit_promql.batch import OVERHEAD, BatchLabelError, batch_query, form_encoded, split
from candy_kit_promql.batchable import Batchable, batchable
from candy_kit_promql.client import Endpoint
from candy_kit_promql.dialect import Dialect
from candy_kit_promql.failure import QueryFailed, unreadable
from candy_kit_promql.outcomes import Answer, judge_answer, read_answer
from candy_kit_promql.params import MetricParams
from candy_kit_promql.wire import UNREADABLE, Reply, Series

BATCH_SECONDS = 1.0
COOLDOWN_SECONDS = 10.0
BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of a batch's answer: beyond that, individual answers take less memory."""
QUERY_BYTES = 14_000
"""Bytes of a batch's query: VictoriaMetrics accepts 16 KiB."""
THREAD_BYTES = 256 * 1024
"""Bytes of an answer from which it is judged in a thread, so as not to block the event loop."""

_SUPPORT_SECONDS = 60.0
"""How long it is assumed that a datasource still supports batches."""
_NO_SUPPORT_SECONDS = 10.0
_NEVER_HALVED = frozenset({Reason.TIMEOUT, Reason.TOO_LARGE, Reason.UNREACHABLE, Reason.AUTH_FAILED})


@frozen
class SharedQuery:
    """Items with the same query and range."""

    items: tuple[Item[MetricParams], ...]

    @property
    def params(self) -> MetricParams:
        """The query and range; thresholds and the like are each item's own."""
        return self.items[0].params


Batch = Sequence[SharedQuery]
RunQuery = Callable[[Endpoint, SharedQuery, Run], Awaitable[list[Outcome]]]
"""Sends one query individually; gives an outcome for each of its items."""
OnResult = Callable[[SharedQuery, Sequence[Outcome]], None]
"""Is called once for each query, as soon as its outcomes are known."""
FailedOutcomes = Callable[[Endpoint, SharedQuery, Run, QueryFailed], list[Outcome]]


@define(eq=False)
class _ServerState:
    """What is known of a datasource; times on the loop's clock."""

    lock: asyncio.Lock = field(factory=asyncio.Lock)
    supports_batches: bool = False
    known_until: float = float("-inf")
    cooldown_until: float = float("-inf")


@define(eq=False)
class QueryBatcher:
    """See the module. ``size`` is the maximum number of queries in a request."""

    dialect: Dialect
    size: int
    run_query: RunQuery
    failed: FailedOutcomes
    _states: dict[str, _ServerState] = field(factory=dict, init=False)

    async def run(self, endpoint: Endpoint, queries: Batch, run: Run, on_result: OnResult) -> None:
        """Send all of ``queries``."""
        batches: list[Batch] = [[query] for query in queries]
        if len(queries) > 1 and await self._supports_batches(endpoint, run):
            batches = list(_batches(queries, self.size))
        await self._run_batches(endpoint, batches, run, on_result)

    async def _run_batches(self, endpoint: Endpoint, batches: Sequence[Batch], run: Run, on_result: OnResult) -> None:
        if len(batches) == 1:
            await self._run_batch(endpoint, batches[0], run, on_result)
            return
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(self._run_batch(endpoint, batch, run, on_result))

    async def _run_batch(self, endpoint: Endpoint, batch: Batch, run: Run, on_result: OnResult) -> None:
        if len(batch) == 1:
            on_result(batch[0], await self.run_query(endpoint, batch[0], run))
            return
        if asyncio.get_running_loop().time() < self._states[endpoint.name].cooldown_until:
            await self._run_batches(endpoint, [[query] for query in batch], run, on_result)
            return
        try:
            async with endpoint.slots:
                results = await self._query(endpoint, batch, run)
        except QueryFailed as failure:
            await self._retry(failure, endpoint, batch, run, on_result)
            return
        left = []
        for query, outcomes in zip(batch, results, strict=True):
            if outcomes is None:
                left.append([query])
            else:
                on_result(query, outcomes)
        if left:
            await self._run_batches(endpoint, left, run, on_result)

    async def _retry(
        self, failure: QueryFailed, endpoint: Endpoint, batch: Batch, run: Run, on_result: OnResult
    ) -> None:
        if _concerns_all(failure):
            for query in batch:
                on_result(query, self.failed(endpoint, query, run, failure))
        elif failure.reason in _NEVER_HALVED:
            if failure.reason is Reason.TIMEOUT:
                self._states[endpoint.name].cooldown_until = asyncio.get_running_loop().time() + COOLDOWN_SECONDS
            await self._run_batches(endpoint, [[query] for query in batch], run, on_result)
        else:
            middle = len(batch) // 2
            await self._run_batches(endpoint, [batch[:middle], batch[middle:]], run, on_result)

    async def _query(self, endpoint: Endpoint, batch: Batch, run: Run) -> list[list[Outcome] | None]:
        """Send a batch once; ``None`` for a query that must be sent individually. Raises :class:`QueryFailed`."""
        seconds = min(BATCH_SECONDS, run.remaining() / 2)
        query = form_encoded(batch_query([query.params.query for query in batch]))
        form = f"query={query}&time={run.time:.3f}&timeout={seconds:.3f}".encode() + self.dialect.form
        with endpoint.large_answer_lock() as lock:
            reply, body = await endpoint.request(endpoint.query_url, form, seconds, lock, BATCH_BYTES)
            if len(body) > THREAD_BYTES:
                return await asyncio.to_thread(self._judge, reply, batch, run.locale)
            return self._judge(reply, batch, run.locale)

    def _judge(self, reply: Reply, batch: Batch, locale: Locale) -> list[list[Outcome] | None]:
        answer = read_answer(reply)
        if answer.partial is not None:
            raise QueryFailed(Reason.PARTIAL_RESPONSE, "")  # never reported: its queries are sent in smaller batches
        try:
            if answer.kind != "vector" or not isinstance(answer.result, list):
                raise BatchLabelError("not a vector")
            vectors = split(answer.result, len(batch), self.dialect.sort_key)  # type: ignore[arg-type]  # by its kind
        except BatchLabelError as error:
            raise QueryFailed(Reason.BAD_RESPONSE, texts.WRONG_SHAPE, why=str(error)) from None
        except UNREADABLE as error:
            raise unreadable(error) from None
        return [self._outcomes(query, vector, locale) for query, vector in zip(batch, vectors, strict=True)]

    def _outcomes(self, query: SharedQuery, vector: list[Series], locale: Locale) -> list[Outcome] | None:
        if not vector:
            return None
        unsorted = batchable(query.params.query) is Batchable.UNSORTED
        if len(vector) > 1 and unsorted and self.dialect.sort_key is not None:
            return None
        answer = Answer(kind="vector", result=vector)
        try:
            return [judge_answer(answer, item.params, locale) for item in query.items]
        except QueryFailed:
            return None

    async def _supports_batches(self, endpoint: Endpoint, run: Run) -> bool:
        """Whether the datasource may be sent batches; the server is checked again now and then."""
        if self.size < 2 or self.dialect.supports_batches is None:
            return False
        state = self._states.setdefault(endpoint.name, _ServerState())
        async with state.lock:
            now = asyncio.get_running_loop().time()
            if now >= state.known_until:
                async with endpoint.slots:
                    seconds = min(BATCH_SECONDS, run.remaining() / 2)
                    state.supports_batches = await self.dialect.supports_batches(endpoint, seconds)
                state.known_until = now + (_SUPPORT_SECONDS if state.supports_batches else _NO_SUPPORT_SECONDS)
            return state.supports_batches


def _concerns_all(failure: QueryFailed) -> bool:
    """Whether the failure is independent of the query.

    A 403 may depend on it: a proxy that inspects queries may reject one of them, or the size of the batch.
    """
    return failure.reason is Reason.NOT_CONFIGURED or failure.values.get("status") == 401


def _batches(queries: Batch, size: int) -> Iterator[Batch]:
    """In order, at most ``size`` queries and :data:`QUERY_BYTES` in each."""
    batch: list[SharedQuery] = []
    length = 0
    for query in queries:
        more = len(query.params.query.encode()) + OVERHEAD
        if batch and (len(batch) >= size or length + more > QUERY_BYTES):
            yield batch
            batch, length = [], 0
        batch.append(query)
        length += more
    if batch:
        yield batch
