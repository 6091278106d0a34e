"""The records of the heartbeat (contract section 4, "Heartbeat")."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from candy_core.model.secret import Secret


class AgentStatus(StrEnum):
    """``busy``: the queue is above its mark. ``error``: checks have stopped, or a required plugin is down."""

    RUNNING = "running"
    BUSY = "busy"
    ERROR = "error"


@frozen(kw_only=True)
class ClusterInfo:
    """The known figures of the cluster. ``None`` is left out of the heartbeat, never invented.

    The three usages are percentages from 0 to 100. ``kubernetes_version`` has no leading ``v``.
    """

    name: str | None = None
    nodes: int | None = None
    kubernetes_version: str | None = None
    cpu_usage: float | None = None
    memory_usage: float | None = None
    disk_usage: float | None = None


@frozen(kw_only=True)
class PluginBrief:
    """A plugin in the heartbeat."""

    name: str
    version: str
    state: str


@frozen(kw_only=True)
class QueueBrief:
    """Tasks that wait and run, the limit of waiting ones, and deliveries that wait."""

    pending: int
    running: int
    capacity: int
    deliveries: int


@frozen(kw_only=True)
class Heartbeat:
    """One heartbeat. ``uptime`` in whole seconds; ``sequence`` counts from 1 for each ``instance_id``.

    ``queue`` is ``None`` if the store does not respond. ``None`` is left out of the message.
    """

    agent_id: str
    status: AgentStatus
    version: str
    cluster_info: ClusterInfo
    timestamp: datetime
    agent_endpoint: str
    api_key: Secret | None
    instance_id: str
    sequence: int
    uptime: int
    plugins: tuple[PluginBrief, ...]
    executors: tuple[str, ...]
    queue: QueueBrief | None
