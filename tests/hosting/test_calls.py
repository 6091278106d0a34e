"""Calls into plugins: whatever they raise is one kind of fault, and one that does not end is left behind."""

from __future__ import annotations

import asyncio

import pytest

from candy_core.errors import NotConfigured
from candy_core.faults import PluginFault
from candy_core.hosting.calls import Calls


async def raising(error: BaseException) -> None:
    raise error


async def deaf(until: asyncio.Event) -> str:
    while not until.is_set():
        try:
            await until.wait()
        except asyncio.CancelledError:
            continue
    return "at last"


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(3), asyncio.CancelledError()])
async def test_what_a_plugin_raises_comes_out_as_its_fault(error: BaseException) -> None:
    call = Calls().start(raising(error))
    with pytest.raises(PluginFault):
        await call
    assert call.done()
    assert not call.cancelled()


async def test_an_error_of_the_agents_own_vocabulary_comes_as_it_is() -> None:
    with pytest.raises(NotConfigured):
        await Calls().start(raising(NotConfigured("set plugins.x.url")))


async def test_a_call_that_is_stopped_is_cancelled_and_no_fault() -> None:
    calls = Calls()
    call = calls.start(asyncio.Event().wait())
    await asyncio.sleep(0)
    assert await calls.stop(call, "t")
    assert call.cancelled()
    assert await calls.gone("t", 0)


async def test_a_call_that_ignores_its_cancellation_is_out_there_until_it_ends() -> None:
    calls, gate = Calls(patience=0.01), asyncio.Event()
    call = calls.start(deaf(gate))
    await asyncio.sleep(0)
    assert not await calls.stop(call, "t")
    assert not await calls.gone("t", 0)
    assert await calls.gone("another", 0)
    gate.set()
    assert await calls.gone("t", 60)
    assert call.result() == "at last"


async def test_a_call_that_is_stopped_twice_is_cancelled_once() -> None:
    """It may be cleaning up, which a second cancellation would break off."""
    calls, told, gate = Calls(), 0, asyncio.Event()

    async def cleaning() -> None:
        nonlocal told
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told += 1
        await gate.wait()

    call = calls.start(cleaning())
    await asyncio.sleep(0)
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(calls.stop(call, "t")) for _ in range(2)]
        while not told:
            await asyncio.sleep(0)
        gate.set()
    assert [stopped.result() for stopped in both] == [True, True]
    assert told == 1
    assert not call.cancelled()


async def test_whoever_is_in_a_hurry_is_less_patient_and_never_more() -> None:
    """It is given up at all, which patience alone would do in an hour."""
    calls, gate = Calls(patience=3600), asyncio.Event()
    calls.hurry(0.01)
    calls.hurry(3600)
    call = calls.start(deaf(gate))
    await asyncio.sleep(0)
    assert not await calls.stop(call)
    gate.set()
    await call
