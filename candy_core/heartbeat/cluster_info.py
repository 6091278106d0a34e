"""Reads the cluster probes in the background, so that none delays a heartbeat (contract section 4)."""

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

READ_INTERVAL = 30.0
"""Seconds between two reads of one probe."""
READ_TIMEOUT = 20.0
"""Time limit of one read, in seconds."""
MAX_AGE = 180.0
"""Older values are left out: they would describe the cluster as it was. In seconds."""
CANCEL_GRACE = 0.3
"""Seconds that a canceled read has to end. A shutdown waits for it."""


class HostedProbe(Protocol):
    """What is needed of a probe that the host keeps open (:class:`candy_core.hosting.Hosted`)."""

    @property
    def plugin(self) -> str: ...

    @property
    def settings(self) -> Any: ...

    async def port(self) -> ClusterProbe: ...


class ClusterInfoReader:
    """Reads all probes concurrently and keeps the last result of each. ``probes`` are in order of precedence."""

    def __init__(
        self,
        probes: Mapping[str, HostedProbe],
        *,
        logger: Logger,
        interval: float = READ_INTERVAL,
        timeout: float = READ_TIMEOUT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes = dict(probes)
        self._logger = logger
        self._interval = interval
        self._timeout = timeout
        self._calls = Calls(CANCEL_GRACE)
        self._monotonic = monotonic
        self._read: dict[str, tuple[float, ClusterInfo]] = {}

    async def run(self) -> None:
        """Read until canceled."""
        async with asyncio.TaskGroup() as group:
            for name, hosted in self._probes.items():
                group.create_task(self._read_loop(name, hosted), name=f"probe:{name}")

    def info(self, cluster_name: str) -> ClusterInfo:
        """The current values: each from the first probe that has it. ``cluster_name`` is the configured name."""
        oldest = self._monotonic() - MAX_AGE
        fresh = [self._read[name][1] for name in self._probes if name in self._read and self._read[name][0] >= oldest]
        version = _first(info.kubernetes_version for info in fresh)
        return ClusterInfo(
            name=cluster_name,
            nodes=_first(info.nodes for info in fresh),
            kubernetes_version=version.removeprefix("v") if version else None,
            cpu_usage=_first(info.cpu_usage for info in fresh),
            memory_usage=_first(info.memory_usage for info in fresh),
            disk_usage=_first(info.disk_usage for info in fresh),
        )

    async def _read_loop(self, name: str, hosted: HostedProbe) -> None:
        while True:
            began = self._monotonic()
            call = self._calls.start(_read(hosted))
            try:
                await asyncio.wait((call,), timeout=self._timeout)
            finally:
                ended = await self._calls.stop(call)
            log = self._logger.bind(plugin=hosted.plugin, probe=name)
            if not ended or call.cancelled():
                log.warning("cluster_probe_unavailable", why=f"no result within {self._timeout:g} s")
                await asyncio.wait((call,))  # start no second read while this one is still running
            elif (error := call.exception()) is None:
                self._read[name] = (began, call.result())
            elif isinstance(error, CandyError):
                log.warning("cluster_probe_unavailable", why=str(error))
            else:
                log.error("cluster_probe_failed", exception=traceback_of(error, hidden=secrets_of(hosted.settings)))
            await asyncio.sleep(self._interval)


async def _read(hosted: HostedProbe) -> ClusterInfo:
    info: object = await (await hosted.port()).read()
    if not isinstance(info, ClusterInfo):
        raise TypeError(f"{hosted.plugin} returned {type(info).__name__}; expected ClusterInfo")
    return info


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
