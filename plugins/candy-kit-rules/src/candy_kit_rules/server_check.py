"""Expressions checked by a server: each one once, within bounds, and without effect if the server is not available."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from attrs import frozen

from candy_core import Logger, Mismatch, PluginContext
from candy_kit_promql import Datasource, Endpoint, QueryFailed, open_endpoints
from candy_kit_rules.expression_checks import ExpressionCheck

MAX_CONCURRENT = 4
"""Expressions that a server checks at the same time."""

FILE_SECONDS = 10.0
"""Time limit for all expressions of a rule file."""

COOLDOWN_SECONDS = 15.0
"""How long a server that failed gets no further requests, so that it does not delay every rule."""

CACHE_SIZE = 10_000
"""Accepted expressions that are cached, by their digests."""

CACHE_SECONDS = 600.0
"""How long they are cached: the server may be replaced by an older one."""


@frozen(kw_only=True)
class RuleDatasource(Datasource):
    """The server that checks expressions: its ``url`` and credentials."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.url is None:
            raise Mismatch("expected a url in datasource")


class ServerCheck:
    """One server's verdicts on expressions."""

    def __init__(
        self, endpoint: Endpoint, check: ExpressionCheck, logger: Logger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._check = check
        self._log = logger
        self._clock = clock
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._accepted: OrderedDict[bytes, float] = OrderedDict()
        self._cooldown_until = float("-inf")

    async def verdicts(self, expressions: Iterable[str]) -> Mapping[str, str | None]:
        """The server's error text for each expression, ``None`` for one that it accepts.

        Expressions that the server could not check are left out; the log says why.
        """
        verdicts: dict[str, str | None] = {}
        unknown = []
        for expression in dict.fromkeys(expressions):
            if self._is_accepted(expression):
                verdicts[expression] = None
            else:
                unknown.append(expression)
        if not unknown or self._clock() < self._cooldown_until:
            return verdicts
        try:
            async with asyncio.timeout(FILE_SECONDS), asyncio.TaskGroup() as group:
                for expression in unknown:
                    group.create_task(self._check_one(expression, verdicts))
        except TimeoutError:
            self._unavailable(f"no answer about all of {len(unknown)} expressions within {FILE_SECONDS:g} s")
        return verdicts

    async def _check_one(self, expression: str, verdicts: dict[str, str | None]) -> None:
        async with self._slots:
            if self._clock() < self._cooldown_until:
                return
            try:
                error = await self._check(self._endpoint, expression)
            except QueryFailed as failure:
                self._unavailable(failure.reason.value + (f": {failure.text}" if failure.text else ""))
                return
        verdicts[expression] = error
        if error is None:
            self._accepted[_digest(expression)] = self._clock()
            if len(self._accepted) > CACHE_SIZE:
                self._accepted.popitem(last=False)

    def _is_accepted(self, expression: str) -> bool:
        accepted = self._accepted.get(_digest(expression))
        return accepted is not None and self._clock() - accepted < CACHE_SECONDS

    def _unavailable(self, why: str) -> None:
        if self._clock() >= self._cooldown_until:
            self._cooldown_until = self._clock() + COOLDOWN_SECONDS
            self._log.warning("expressions_not_checked", server=self._endpoint.host, error=why)


@asynccontextmanager
async def open_server_check(
    context: PluginContext,
    datasource: RuleDatasource | None,
    check: ExpressionCheck,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[ServerCheck | None]:
    """The check by the server in the settings, ``None`` if they name none. Does not connect yet."""
    if datasource is None:
        yield None
        return
    async with open_endpoints(context, {"rules": datasource}, connections=MAX_CONCURRENT) as endpoints:
        yield ServerCheck(endpoints["rules"], check, context.logger, clock=clock)


def _digest(expression: str) -> bytes:
    return hashlib.blake2b(expression.encode("utf-8", "surrogatepass"), digest_size=16).digest()
