"""What the tests of the metric plugins share: a plugin opened and asked as the core does, and the subject of its suite.

Each plugin's conftest makes its ``open_agent`` of it::

    @pytest.fixture
    def open_agent() -> Open:
        return opener("prometheus", *plugin.candy_executors())
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeAlias

from attrs import frozen

from candy_core import (
    ExecutorSpec,
    Health,
    Item,
    Json,
    Locale,
    Outcome,
    Reason,
    params_reader,
)
from candy_core.testing.context import plugin_context
from candy_core.testing.executor import Case, Oversized, Subject
from candy_kit_promql import MetricExecutor, MetricParams
from candy_testbed.hostile import BEHAVIOURS
from candy_testbed.task_run import task_run

MetricSpec: TypeAlias = ExecutorSpec[MetricParams, Any]


@frozen
class Agent:
    """The opened plugin, asked as the core asks it."""

    spec: MetricSpec
    executor: MetricExecutor

    async def run(
        self, *params: Any, time_: float | None = None, seconds: float = 60.0, locale: Locale = Locale.ZH_CN
    ) -> list[Outcome]:
        """One call for each of ``params``, all at once; a text is a query."""
        run = task_run(seconds=seconds, instant=time_, locale=locale)

        async def one(index: int, written: Any) -> Outcome:
            item = self._item(index, {"query": written} if isinstance(written, str) else written)
            [(answered, outcome)] = [answer async for answer in self.executor.run_batch([item], run)]
            assert answered == index
            return outcome

        return list(await asyncio.gather(*(one(index, each) for index, each in enumerate(params))))

    async def run_together(self, *queries: str, time_: float, **more: Any) -> list[Outcome]:
        """Items of one task, in calls as the core makes them of their keys."""
        assert self.spec.batch_key is not None
        assert self.spec.dedup_key is not None
        run = task_run(instant=time_, locale=Locale.ZH_CN)
        calls: dict[object, list[Item[MetricParams]]] = {}
        for index, query in enumerate(queries):
            item = self._item(index, {"query": query, **more})
            calls.setdefault(self.spec.batch_key(item.params), []).append(item)
        found: dict[int, Outcome] = {}

        async def call(items: list[Item[MetricParams]]) -> None:
            async for index, outcome in self.executor.run_batch(items, run):
                assert index not in found
                found[index] = outcome

        await asyncio.gather(*map(call, calls.values()))
        return [found[index] for index in range(len(queries))]

    async def health(self) -> Health:
        """The result of the plugin's health check."""
        assert self.spec.check is not None
        return await self.spec.check(self.executor)

    def _item(self, index: int, written: Any) -> Item[MetricParams]:
        return Item(index=index, id=index, name="", params=params_reader.read(written, self.spec.params))


class Open(Protocol):
    """Opens the plugin with these settings; leaving the context closes it."""

    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[Agent]: ...


def opener(plugin: str, spec: MetricSpec) -> Open:
    """Opens the plugin that announces ``spec``."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Agent]:
        async with spec.open(plugin_context(plugin), params_reader.read(settings, spec.settings)) as executor:
            assert isinstance(executor, MetricExecutor)
            yield Agent(spec, executor)

    return opened


def subject(plugin: str, spec: MetricSpec, url: str, hostile: str, *, stretch: Mapping[str, Json]) -> Subject:
    """The ``ExecutorSuite`` subject of a metric plugin.

    ``url`` is a real server's, ``hostile`` that of a :class:`~candy_testbed.hostile.HostileHttp`. ``stretch`` is a
    ``range`` in which the real one has samples already.
    """
    token = f"hunter2-of-{plugin}"
    datasources: dict[str, Json] = {
        name: {"url": f"{hostile}/{name}", "bearer_token": token, "timeout": 60} for name in BEHAVIOURS
    }
    datasources["impatient"] = {"url": f"{hostile}/hangs", "timeout": 0.2}
    datasources["gone"] = {"url": "http://127.0.0.1:1", "username": "candy", "password": token}
    return Subject(
        plugin=plugin,
        spec=spec,
        settings={"url": url, "bearer_token": token, "datasources": datasources},
        ordinary=[
            Case(params={"query": "vector(7)", "threshold": 80}, value="7"),
            Case(params={"query": "vector(1)", "critical": ">=2", "range": dict(stretch)}, value="1"),
            Case(params={"query": "gone"}, reason=Reason.SERIES_ABSENT),
        ],
        failures=[
            Case(params={"threshold": "80"}, reason=Reason.BAD_PARAMS),
            Case(params={"query": "up", "threshold": "much"}, reason=Reason.BAD_PARAMS),
            Case(params={"query": "up{"}, reason=Reason.QUERY_REJECTED),
            Case(params=_of("gone"), reason=Reason.UNREACHABLE),
            Case(params=_of("impatient"), reason=Reason.TIMEOUT),
            Case(params=_of("resets"), reason=Reason.UNREACHABLE),
            Case(params=_of("html"), reason=Reason.BAD_RESPONSE),
            Case(params=_of("refuses"), reason=Reason.AUTH_FAILED),
            Case(params=_of("repeats"), reason=Reason.BAD_RESPONSE),
        ],
        endless=[_of("hangs"), _of("hangs_half_way"), _of("trickles")],
        oversized=[
            Oversized(params=_of(name), reason=Reason.TOO_LARGE) for name in ("never_ends", "announces_a_gigabyte")
        ]
        + [Oversized(params=_of("random_bytes"), reason=Reason.TOO_LARGE, matches="4194304")],
        numbered=lambda number: Case(params={"query": f"vector({number})"}, value=str(number)),
        secrets=[token],
    )


def _of(datasource: str) -> dict[str, Json]:
    return {"query": "up", "datasource": datasource}
