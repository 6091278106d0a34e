"""Asks many different questions of one datasource in few requests, and finds what each would have been told alone.

What a batch cannot answer for certain is asked again without it:

- A batch that is refused, broken or partial is halved until the guilty question stands alone.
- One that takes longer than :data:`BATCH_SECONDS` is given up, and each of its questions asked alone: no question is
  held up longer than that by its neighbours. For :data:`REST_SECONDS` the datasource is then asked one by one.
- One that is too large or forbidden, or that nobody answers, is not tried again in halves either.
- A question whose part of the answer is empty is asked alone, for the server's own counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from attrs import define, field, frozen

from candy_core import Item, Locale, Outcome, Reason, Run
from candy_kit_promql import texts
from candy_kit_promql.batch import OVERHEAD, MixedUpError, apart, together, written
from candy_kit_promql.client import Endpoint
from candy_kit_promql.dialect import Dialect
from candy_kit_promql.failure import QueryFailed, unreadable
from candy_kit_promql.finding import Answer, answer_of, judged
from candy_kit_promql.joining import Joining, joining
from candy_kit_promql.params import MetricParams
from candy_kit_promql.wire import UNREADABLE, Reply, Series

BATCH_SECONDS = 1.0
REST_SECONDS = 10.0
BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of a batch's answer: larger ones are read one by one, with less memory."""
QUERY_BYTES = 14_000
"""Bytes of a batch's query: VictoriaMetrics takes 16 KiB."""
ASIDE = 256 * 1024
"""Bytes of an answer from which on it is judged in a thread, so that the loop goes on meanwhile."""

_TRUST_SECONDS = 60.0
"""How long a datasource is known for what it said it was."""
_DISTRUST_SECONDS = 10.0
_NOT_IN_HALVES = frozenset({Reason.TIMEOUT, Reason.TOO_LARGE, Reason.UNREACHABLE, Reason.AUTH_FAILED})


@frozen
class Question:
    """Items that ask the same."""

    items: tuple[Item[MetricParams], ...]

    @property
    def params(self) -> MetricParams:
        """What is asked; thresholds and the like are each item's own."""
        return self.items[0].params


Alone = Callable[[Endpoint, Question, Run], Awaitable[list[Outcome]]]
"""Asks one question by itself; an outcome for each of its items."""
Tell = Callable[[Question, Sequence[Outcome]], None]
"""Is told each question's outcomes once, as soon as they are known."""
Fail = Callable[[Endpoint, Question, Run, QueryFailed], list[Outcome]]


@define(eq=False)
class _Acquaintance:
    """What is known of a datasource, and until when, on the loop's clock."""

    lock: asyncio.Lock = field(factory=asyncio.Lock)
    marks: bool = False
    until: float = float("-inf")
    rests_until: float = float("-inf")


@define(eq=False)
class Crowd:
    """See the module. ``size`` is the most questions in one request."""

    dialect: Dialect
    size: int
    alone: Alone
    fail: Fail
    _known: dict[str, _Acquaintance] = field(factory=dict, init=False)

    async def ask(self, endpoint: Endpoint, questions: Sequence[Question], run: Run, tell: Tell) -> None:
        """Ask all of them."""
        parts = [[question] for question in questions]
        if len(questions) > 1 and await self._may_join(endpoint, run):
            parts = list(_parts(questions, self.size))
        await self._each(endpoint, parts, run, tell)

    async def _each(self, endpoint: Endpoint, parts: Sequence[Sequence[Question]], run: Run, tell: Tell) -> None:
        if len(parts) == 1:
            await self._part(endpoint, parts[0], run, tell)
            return
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(self._part(endpoint, part, run, tell))

    async def _part(self, endpoint: Endpoint, part: Sequence[Question], run: Run, tell: Tell) -> None:
        if len(part) == 1:
            tell(part[0], await self.alone(endpoint, part[0], run))
            return
        if self._rests(endpoint):
            await self._each(endpoint, [[question] for question in part], run, tell)
            return
        try:
            async with endpoint.room:
                answered = await self._together(endpoint, part, run)
        except QueryFailed as failure:
            await self._after(failure, endpoint, part, run, tell)
            return
        left = []
        for question, outcomes in zip(part, answered, strict=True):
            if outcomes is None:
                left.append([question])
            else:
                tell(question, outcomes)
        if left:
            await self._each(endpoint, left, run, tell)

    async def _after(
        self, failure: QueryFailed, endpoint: Endpoint, part: Sequence[Question], run: Run, tell: Tell
    ) -> None:
        if _is_everybodys(failure):
            for question in part:
                tell(question, self.fail(endpoint, question, run, failure))
        elif failure.reason in _NOT_IN_HALVES:
            if failure.reason is Reason.TIMEOUT:
                self._known[endpoint.name].rests_until = asyncio.get_running_loop().time() + REST_SECONDS
            await self._each(endpoint, [[question] for question in part], run, tell)
        else:
            middle = len(part) // 2
            await self._each(endpoint, [part[:middle], part[middle:]], run, tell)

    async def _together(self, endpoint: Endpoint, part: Sequence[Question], run: Run) -> list[list[Outcome] | None]:
        """Ask once; ``None`` for a question that is to be asked alone. Raises :class:`QueryFailed`."""
        seconds = min(BATCH_SECONDS, run.remaining() / 2)
        query = written(together([question.params.query for question in part]))
        form = f"query={query}&time={run.time:.3f}&timeout={seconds:.3f}".encode() + self.dialect.form
        with endpoint.turn() as turn:
            reply, body = await endpoint.ask(endpoint.query_url, form, seconds, turn, BATCH_BYTES)
            if len(body) > ASIDE:
                return await asyncio.to_thread(self._judged, reply, part, run.locale)
            return self._judged(reply, part, run.locale)

    def _judged(self, reply: Reply, part: Sequence[Question], locale: Locale) -> list[list[Outcome] | None]:
        answer = answer_of(reply)
        if answer.partial is not None:
            raise QueryFailed(Reason.PARTIAL_RESPONSE, "")  # nobody is told: each is asked again in a smaller part
        try:
            if answer.kind != "vector" or not isinstance(answer.result, list):
                raise MixedUpError("no vector")
            vectors = apart(answer.result, len(part), self.dialect.sort_key)  # type: ignore[arg-type]  # the kind says it
        except MixedUpError as error:
            raise QueryFailed(Reason.BAD_RESPONSE, texts.WRONG_SHAPE, why=str(error)) from None
        except UNREADABLE as error:
            raise unreadable(error) from None
        return [self._outcomes(question, vector, locale) for question, vector in zip(part, vectors, strict=True)]

    def _outcomes(self, question: Question, vector: list[Series], locale: Locale) -> list[Outcome] | None:
        if not vector:
            return None
        unsorted = joining(question.params.query) is Joining.TOGETHER_UNSORTED
        if len(vector) > 1 and unsorted and self.dialect.sort_key is not None:
            return None
        answer = Answer(kind="vector", result=vector)
        try:
            return [judged(answer, item.params, locale) for item in question.items]
        except QueryFailed:
            return None

    def _rests(self, endpoint: Endpoint) -> bool:
        return asyncio.get_running_loop().time() < self._known[endpoint.name].rests_until

    async def _may_join(self, endpoint: Endpoint, run: Run) -> bool:
        """Whether the datasource may be asked many questions at once: asked itself, now and then."""
        if self.size < 2 or self.dialect.marks is None:
            return False
        known = self._known.setdefault(endpoint.name, _Acquaintance())
        async with known.lock:
            now = asyncio.get_running_loop().time()
            if now >= known.until:
                async with endpoint.room:
                    with endpoint.turn() as turn:
                        seconds = min(BATCH_SECONDS, run.remaining() / 2)
                        known.marks = await self.dialect.marks(endpoint, seconds, turn)
                known.until = now + (_TRUST_SECONDS if known.marks else _DISTRUST_SECONDS)
            return known.marks


def _is_everybodys(failure: QueryFailed) -> bool:
    """Whether it has nothing to do with the question.

    A 403 may: proxies look into what is asked, and may dislike one query, or just the sight of fifty together.
    """
    return failure.reason is Reason.NOT_CONFIGURED or failure.values.get("status") == 401


def _parts(questions: Sequence[Question], size: int) -> Iterator[list[Question]]:
    """In order, at most ``size`` in each, and no longer than a server takes."""
    part: list[Question] = []
    length = 0
    for question in questions:
        more = len(question.params.query.encode()) + OVERHEAD
        if part and (len(part) >= size or length + more > QUERY_BYTES):
            yield part
            part, length = [], 0
        part.append(question)
        length += more
    if part:
        yield part
