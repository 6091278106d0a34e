"""A server's own opinion of expressions: asked once for each, within bounds, and missed where it cannot be had."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from attrs import frozen

from candy_core import Logger, Mismatch, PluginContext
from candy_kit_promql import Datasource, Endpoint, MetricSettings, QueryFailed
from candy_kit_promql.client import open_endpoints
from candy_kit_promql.datasource import DEFAULT
from candy_kit_rules.questions import Question

AT_ONCE = 4
"""Expressions that a server is asked about at one time."""

SECONDS = 10.0
"""For all expressions of one rule file together."""

REST_SECONDS = 15.0
"""How long a server that could not be asked is left alone: its silence must not slow every rule down."""

KEPT = 10_000
"""Expressions that are remembered as right, by their digests."""

KEPT_SECONDS = 600.0
"""After which a server is asked again: it may have been replaced by an older one."""


@frozen(kw_only=True)
class RuleDatasource(Datasource):
    """The server that is asked about expressions: its ``url``, and how to be let in."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.url is None:
            raise Mismatch("expected a url in datasource")


class Opinion:
    """What one server thinks of expressions."""

    def __init__(
        self, endpoint: Endpoint, question: Question, logger: Logger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._question = question
        self._log = logger
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._rests_until = float("-inf")

    async def of(self, expressions: Iterable[str]) -> Mapping[str, str | None]:
        """The server's words about each expression, ``None`` where it takes it.

        Those that it could not be asked about are not among them; why is in the log.
        """
        verdicts: dict[str, str | None] = {}
        unknown = []
        for expression in dict.fromkeys(expressions):
            if self._is_known(expression):
                verdicts[expression] = None
            else:
                unknown.append(expression)
        if not unknown or self._clock() < self._rests_until:
            return verdicts
        try:
            async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
                for expression in unknown:
                    group.create_task(self._ask(expression, verdicts))
        except TimeoutError:
            self._missed(f"no answer about all of {len(unknown)} expressions within {SECONDS:g} s")
        return verdicts

    async def _ask(self, expression: str, verdicts: dict[str, str | None]) -> None:
        async with self._room:
            if self._clock() < self._rests_until:
                return
            try:
                refusal = await self._question(self._endpoint, expression)
            except QueryFailed as failure:
                self._missed(failure.reason.value + (f": {failure.text}" if failure.text else ""))
                return
        verdicts[expression] = refusal
        if refusal is None:
            self._right[_digest(expression)] = self._clock()
            if len(self._right) > KEPT:
                self._right.popitem(last=False)

    def _is_known(self, expression: str) -> bool:
        asked = self._right.get(_digest(expression))
        return asked is not None and self._clock() - asked < KEPT_SECONDS

    def _missed(self, why: str) -> None:
        if self._clock() >= self._rests_until:
            self._rests_until = self._clock() + REST_SECONDS
            self._log.warning("expressions_not_checked", server=self._endpoint.host, error=why)


@asynccontextmanager
async def open_opinion(
    context: PluginContext,
    datasource: RuleDatasource | None,
    question: Question,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Opinion | None]:
    """The opinion of the server that the settings name, ``None`` where they name none. Connects to nothing yet."""
    if datasource is None:
        yield None
        return
    settings = MetricSettings(datasources={DEFAULT: datasource}, max_connections=AT_ONCE)
    async with open_endpoints(context, settings) as endpoints:
        yield Opinion(endpoints.by_name[DEFAULT], question, context.logger, clock=clock)


def _digest(expression: str) -> bytes:
    return hashlib.blake2b(expression.encode("utf-8", "surrogatepass"), digest_size=16).digest()
