"""The cluster's figures for the heartbeat, read beside it so that no probe delays a beat (contract section 4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from candy_core.errors import CandyError
from candy_core.faults import secrets_of, traceback_of
from candy_core.hosting.calls import Calls
from candy_core.model.heartbeat import ClusterInfo
from candy_core.ports.cluster_probe import ClusterProbe
from candy_core.ports.context import Logger

T = TypeVar("T")

READ_EVERY = 30.0
"""Seconds between two readings of one probe."""
READ_SECONDS = 20.0
"""How long one reading may take."""
FRESH_SECONDS = 180.0
"""Figures older than this are left out: they would say how the cluster was, not how it is."""
PATIENCE = 0.3
"""How long a reading that was cancelled may take to end. A shutdown waits for it, and nothing is lost with it."""


class HostedProbe(Protocol):
    """What is needed of a probe that the host holds open (:class:`candy_core.hosting.host.Hosted`)."""

    @property
    def plugin(self) -> str: ...

    @property
    def settings(self) -> Any: ...

    async def port(self) -> ClusterProbe: ...


class ClusterFigures:
    """Reads the probes one beside the other and keeps what each said last. The order of ``probes`` is their rank."""

    def __init__(
        self,
        probes: Mapping[str, HostedProbe],
        *,
        logger: Logger,
        every: float = READ_EVERY,
        seconds: float = READ_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes = dict(probes)
        self._logger = logger
        self._every = every
        self._seconds = seconds
        self._calls = Calls(PATIENCE)
        self._monotonic = monotonic
        self._read: dict[str, tuple[float, ClusterInfo]] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, hosted in self._probes.items():
                group.create_task(self._keep_reading(name, hosted), name=f"probe:{name}")

    def info(self, cluster_name: str) -> ClusterInfo:
        """What is known now: for each figure the first probe that has it; ``cluster_name`` is the configured one."""
        since = self._monotonic() - FRESH_SECONDS
        fresh = [self._read[name][1] for name in self._probes if name in self._read and self._read[name][0] >= since]
        version = _first(info.kubernetes_version for info in fresh)
        return ClusterInfo(
            name=cluster_name,
            nodes=_first(info.nodes for info in fresh),
            kubernetes_version=version.removeprefix("v") if version else None,
            cpu_usage=_first(info.cpu_usage for info in fresh),
            memory_usage=_first(info.memory_usage for info in fresh),
            disk_usage=_first(info.disk_usage for info in fresh),
        )

    async def _keep_reading(self, name: str, hosted: HostedProbe) -> None:
        while True:
            began = self._monotonic()
            call = self._calls.start(_ask(hosted))
            try:
                await asyncio.wait((call,), timeout=self._seconds)
            finally:
                ended = await self._calls.stop(call)
            log = self._logger.bind(plugin=hosted.plugin, probe=name)
            if not ended or call.cancelled():
                log.warning("cluster_unreadable", why=f"no answer within {self._seconds:g} s")
                await asyncio.wait((call,))  # a second reading beside it would only pile up
            elif (error := call.exception()) is None:
                self._read[name] = (began, call.result())
            elif isinstance(error, CandyError):
                log.warning("cluster_unreadable", why=str(error))
            else:
                log.error("cluster_probe_failed", exception=traceback_of(error, hidden=secrets_of(hosted.settings)))
            await asyncio.sleep(self._every)


async def _ask(hosted: HostedProbe) -> ClusterInfo:
    info: object = await (await hosted.port()).read()
    if not isinstance(info, ClusterInfo):
        raise TypeError(f"{hosted.plugin} gave {type(info).__name__} where ClusterInfo was expected")
    return info


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
