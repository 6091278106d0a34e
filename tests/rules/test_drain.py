"""An agent that ends: writes under way are carried to their end, and told of (contract section 6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from candy_core.errors import BackendUnavailable, Draining
from candy_core.model.rule import RuleRef
from candy_core.rules import ListFilter, Retrying
from candy_testbed import eventually
from tests.rules.conftest import QUICK, Opened, Place, rule
from tests.rules.unsteady import cut

BODY: dict[str, Any] = {"type": "unsteady", "rules": [{"name": "A", "content": "up"}, {"name": "B", "content": "up"}]}


class Outage:
    """A backend whose first writes fail, and a sync that waits until the test says that it is over."""

    def __init__(self) -> None:
        self.waited_for = asyncio.Event()
        self.over = asyncio.Event()
        self.retrying = Retrying(window=1e9, listing=1e9, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.waited_for.set()
        await self.over.wait()

    async def begin(self, place: Place) -> asyncio.Task[dict[str, str]]:
        """A sync that has come to the point where it waits."""
        place.line.trouble = cut(method="apply", times=1, after=False)

        async def sync() -> dict[str, str]:
            answer = await place.rules.sync(BODY)
            return {each.name: each.result for each in answer.results}

        running = asyncio.create_task(sync())
        await self.waited_for.wait()
        return running


async def test_a_sync_under_way_is_waited_for_and_nothing_new_is_written(open_place: Opened) -> None:
    """Contract §6: "SIGTERM: … running ones get `CANDY_SHUTDOWN_GRACE`"; §1: 503 `draining`."""
    outage = Outage()
    async with open_place(timing=evolve(QUICK, retrying=outage.retrying)) as place:
        running = await outage.begin(place)
        draining = asyncio.create_task(place.rules.drain(1e6))
        await asyncio.sleep(0)
        for refused in (
            place.rules.create(rule()),
            place.rules.replace(rule()),
            place.rules.delete({"name": "A", "type": "folder"}),
            place.rules.sync(BODY),
        ):
            with pytest.raises(Draining):
                await refused
        assert not draining.done()
        assert (await place.rules.list(ListFilter(type_name="folder"), limit=5, cursor=None)).rules == ()
        outage.over.set()
        await draining
        assert await running == {"A": "created", "B": "created"}


async def test_a_sync_that_lasts_longer_tells_what_it_has_done_by_then(open_place: Opened) -> None:
    """One answer in any case: whoever asked for it must not have to guess."""
    outage = Outage()
    async with open_place(timing=evolve(QUICK, retrying=outage.retrying)) as place:
        running = await outage.begin(place)
        await eventually(lambda: place.counted(type="unsteady", result="created"))
        await place.rules.drain(0)
        assert sorted((await running).values()) == ["created", "failed"]
        with pytest.raises(BackendUnavailable, match="before the agent ended"):
            await place.rules.read(RuleRef(name="A"), "unsteady")


async def test_an_agent_with_nothing_to_write_ends_at_once(place: Place) -> None:
    await place.rules.drain(1e6)
