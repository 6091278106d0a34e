"""The cluster's values in a heartbeat (contract section 4: "left out, never invented")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import structlog
from attrs import define, frozen
from structlog.testing import capture_logs

from candy_core import ClusterInfo, Secret
from candy_core.heartbeat.cluster_info import ClusterInfoReader
from candy_core.ports.cluster_probe import ClusterProbe
from candy_testbed import eventually

from .conftest import Running, Start


@define
class Probe:
    """A cluster probe, and its host."""

    info: object
    plugin: str = "probe"
    hang: bool = False
    uncancelable: asyncio.Event | None = None
    settings: Any = None

    async def port(self) -> ClusterProbe:
        return self

    async def read(self) -> ClusterInfo:
        if self.hang:
            await asyncio.Event().wait()
        while self.uncancelable is not None and not self.uncancelable.is_set():
            with suppress(asyncio.CancelledError):
                await self.uncancelable.wait()
        if isinstance(self.info, BaseException):
            raise self.info
        return self.info  # type: ignore[return-value]  # a plugin may return anything


async def test_probes_complement_each_other_in_order_and_delay_no_heartbeat(
    candy_server: Start, heartbeat: Callable[..., Running]
) -> None:
    """Contract §4: 'could not be had are left out, never invented'; '`kubernetes_version` is without `v`'."""
    server = await candy_server()
    running = heartbeat(
        server.url,
        probes={
            "hangs": Probe(ClusterInfo(nodes=99), hang=True),
            "fails": Probe(RuntimeError("no")),
            "first": Probe(ClusterInfo(nodes=5, cpu_usage=45.2)),
            "second": Probe(ClusterInfo(name="other", nodes=6, kubernetes_version="v1.25.0", memory_usage=0.0)),
        },
    )
    await eventually(lambda: len(running.timer.pauses) == 1)
    running.timer.step()
    await eventually(lambda: len(server.heartbeats) == 2)
    assert server.heartbeats[1]["cluster_info"] == {
        "name": "production-cluster",
        "nodes": 5,
        "kubernetes_version": "1.25.0",
        "cpu_usage": 45.2,
        "memory_usage": 0.0,
    }


@pytest.mark.parametrize("fault", [SystemExit(3), {"nodes": 3}, RuntimeError("no")])
async def test_a_faulty_probe_affects_only_its_own_values(fault: object) -> None:
    with capture_logs() as logs:
        reader = ClusterInfoReader(
            {"bad": Probe(fault), "good": Probe(ClusterInfo(nodes=5))}, logger=structlog.get_logger(), interval=0.01
        )
        reading = asyncio.create_task(reader.run())
        await eventually(lambda: len([entry for entry in logs if entry["log_level"] == "error"]) > 1)
        assert reader.info("here") == ClusterInfo(name="here", nodes=5)
        reading.cancel()
        await asyncio.wait((reading,))
    assert reading.cancelled()


async def test_a_read_that_ignores_its_cancellation_is_abandoned_and_blocks_a_second_one() -> None:
    gate = asyncio.Event()
    probe = Probe(ClusterInfo(nodes=5), uncancelable=gate)
    with capture_logs() as logs:
        reader = ClusterInfoReader({"uncancelable": probe}, logger=structlog.get_logger(), interval=0.01, timeout=0.3)
        reading = asyncio.create_task(reader.run())
        await eventually(lambda: logs)
        assert reader.info("here").nodes is None
        gate.set()
        await eventually(lambda: reader.info("here").nodes == 5)
        before = len(logs)
        gate.clear()
        await eventually(lambda: len(logs) > before)
        reading.cancel()
        await asyncio.wait((reading,), timeout=60)
        assert reading.cancelled()
        gate.set()


async def test_a_probes_exception_is_logged_without_secrets() -> None:
    @frozen
    class Settings:
        token: Secret

    probe = Probe(RuntimeError("401 for hunter2-token"), settings=Settings(Secret("hunter2-token")))
    with capture_logs() as logs:
        reading = asyncio.create_task(ClusterInfoReader({"one": probe}, logger=structlog.get_logger()).run())
        await eventually(lambda: logs)
        reading.cancel()
        await asyncio.wait((reading,))
    assert "401 for ******" in logs[0]["exception"]
    assert "hunter2" not in str(logs)


async def test_old_values_are_left_out() -> None:
    """Contract §4: 'Figures that could not be had are left out, never invented'."""
    now = 0.0
    probe = Probe(ClusterInfo(nodes=5))
    reader = ClusterInfoReader({"one": probe}, logger=structlog.get_logger(), monotonic=lambda: now)
    reading = asyncio.create_task(reader.run())
    await eventually(lambda: reader.info("here").nodes == 5)
    now = 600.0
    assert reader.info("here").nodes is None
    reading.cancel()
    await asyncio.wait((reading,))
