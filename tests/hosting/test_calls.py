"""Calls into plugins: what they raise becomes a fault, and one that does not end is abandoned."""

from __future__ import annotations

import asyncio

import pytest

from candy_core.errors import NotConfigured
from candy_core.faults import PluginFault
from candy_core.hosting.calls import Calls


async def raising(error: BaseException) -> None:
    raise error


async def ignore_cancellation(until: asyncio.Event) -> str:
    while not until.is_set():
        try:
            await until.wait()
        except asyncio.CancelledError:
            continue
    return "ended"


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(3), asyncio.CancelledError()])
async def test_a_plugins_exception_becomes_a_plugin_fault(error: BaseException) -> None:
    call = Calls().start(raising(error))
    with pytest.raises(PluginFault):
        await call
    assert call.done()
    assert not call.cancelled()


async def test_a_candy_error_is_not_changed() -> None:
    with pytest.raises(NotConfigured):
        await Calls().start(raising(NotConfigured("set plugins.x.url")))


async def test_a_stopped_call_is_canceled_without_a_fault() -> None:
    calls = Calls()
    call = calls.start(asyncio.Event().wait())
    await asyncio.sleep(0)
    assert await calls.stop(call, "t")
    assert call.cancelled()
    assert await calls.wait_ended("t", 0)


async def test_a_call_that_ignores_its_cancellation_is_tracked_until_it_ends() -> None:
    calls, gate = Calls(cancel_grace=0.01), asyncio.Event()
    call = calls.start(ignore_cancellation(gate))
    await asyncio.sleep(0)
    assert not await calls.stop(call, "t")
    assert not await calls.wait_ended("t", 0)
    assert await calls.wait_ended("another", 0)
    gate.set()
    assert await calls.wait_ended("t", 60)
    assert call.result() == "ended"


async def test_a_call_that_is_stopped_twice_is_canceled_once() -> None:
    """It may be cleaning up, which a second cancellation would interrupt."""
    calls, cancellations, gate = Calls(), 0, asyncio.Event()

    async def cleaning() -> None:
        nonlocal cancellations
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancellations += 1
        await gate.wait()

    call = calls.start(cleaning())
    await asyncio.sleep(0)
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(calls.stop(call, "t")) for _ in range(2)]
        while not cancellations:
            await asyncio.sleep(0)
        gate.set()
    assert [stopped.result() for stopped in both] == [True, True]
    assert cancellations == 1
    assert not call.cancelled()


async def test_the_grace_can_be_shortened_and_not_extended() -> None:
    """The call is abandoned at all, which without the shorter grace would take an hour."""
    calls, gate = Calls(cancel_grace=3600), asyncio.Event()
    calls.shorten_grace(0.01)
    calls.shorten_grace(3600)
    call = calls.start(ignore_cancellation(gate))
    await asyncio.sleep(0)
    assert not await calls.stop(call)
    gate.set()
    await call
