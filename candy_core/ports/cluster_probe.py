"""Cluster probes read the figures of the heartbeat (contract section 4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar

from attrs import frozen

from candy_core.model.heartbeat import ClusterInfo
from candy_core.ports.context import Health, PluginContext

S = TypeVar("S")


class ClusterProbe(Protocol):
    """Reads figures of the cluster. If there are several probes, each fills the gaps of those before it."""

    async def read(self) -> ClusterInfo:
        """Read the figures that are available now. The others stay ``None``."""
        ...


@frozen(kw_only=True)
class ClusterProbeSpec(Generic[S]):
    """Announces a cluster probe. ``check`` returns whether it can work."""

    name: str
    settings: type[S]
    open: Callable[[PluginContext, S], AbstractAsyncContextManager[ClusterProbe]]
    check: Callable[[Any], Awaitable[Health]] | None = None
