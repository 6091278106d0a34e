"""Shutdown: writes in flight are finished, and their callers learn the results (contract section 6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from candy_core.errors import BackendUnavailable, Draining
from candy_core.model.rule import RuleRef
from candy_core.rules import ListFilter, RetryPolicy
from candy_testbed import eventually
from tests.rules.conftest import QUICK, OpenSetup, RuleSetup, rule
from tests.rules.unsteady import cut

BODY: dict[str, Any] = {"type": "unsteady", "rules": [{"name": "A", "content": "up"}, {"name": "B", "content": "up"}]}


class Outage:
    """A backend whose first writes fail, and a sync that waits until the test ends the outage."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.over = asyncio.Event()
        self.retry = RetryPolicy(window=1e9, listing=1e9, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.waiting.set()
        await self.over.wait()

    async def begin(self, setup: RuleSetup) -> asyncio.Task[dict[str, str]]:
        """Start a sync and return it when it waits for the outage to end."""
        setup.connection.fault = cut(method="apply", times=1, after=False)

        async def sync() -> dict[str, str]:
            answer = await setup.rules.sync(BODY)
            return {each.name: each.result for each in answer.results}

        running = asyncio.create_task(sync())
        await self.waiting.wait()
        return running


async def test_shutdown_waits_for_a_sync_and_starts_no_new_write(open_setup: OpenSetup) -> None:
    """Contract §6: "SIGTERM: … running ones get `CANDY_SHUTDOWN_GRACE`"; §1: 503 `draining`."""
    outage = Outage()
    async with open_setup(timing=evolve(QUICK, retry=outage.retry)) as setup:
        running = await outage.begin(setup)
        draining = asyncio.create_task(setup.rules.drain(1e6))
        await asyncio.sleep(0)
        for refused in (
            setup.rules.create(rule()),
            setup.rules.replace(rule()),
            setup.rules.delete({"name": "A", "type": "folder"}),
            setup.rules.sync(BODY),
        ):
            with pytest.raises(Draining):
                await refused
        assert not draining.done()
        assert (await setup.rules.list(ListFilter(type_name="folder"), limit=5, cursor=None)).rules == ()
        outage.over.set()
        await draining
        assert await running == {"A": "created", "B": "created"}


async def test_a_sync_that_is_interrupted_reports_what_it_has_done(open_setup: OpenSetup) -> None:
    """The caller gets an answer in any case and need not guess."""
    outage = Outage()
    async with open_setup(timing=evolve(QUICK, retry=outage.retry)) as setup:
        running = await outage.begin(setup)
        await eventually(lambda: setup.counted(type="unsteady", result="created"))
        await setup.rules.drain(0)
        assert sorted((await running).values()) == ["created", "failed"]
        with pytest.raises(BackendUnavailable, match="before the agent ended"):
            await setup.rules.read(RuleRef(name="A"), "unsteady")


async def test_an_agent_with_nothing_to_write_ends_at_once(setup: RuleSetup) -> None:
    await setup.rules.drain(1e6)
