"""The parts of the agent that the REST layer answers from."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import frozen

from candy_core.config.runtime import RuntimeConfig
from candy_core.config.settings import Settings
from candy_core.delivery import DeliveryService
from candy_core.engine import Engine
from candy_core.heartbeat import HeartbeatService
from candy_core.hosting import PluginHost
from candy_core.keys import KeyRing
from candy_core.metrics import Metrics
from candy_core.rules import RuleService


def _never() -> bool:
    return False


@frozen(kw_only=True)
class Services:
    """The parts of the agent that answers come from.

    ``started`` is the start of the process on ``clock``, which is monotonic and in seconds; ``starting`` tells whether
    the plugins have not all been tried yet, for ``/ready``.
    """

    engine: Engine
    host: PluginHost
    delivery: DeliveryService
    heartbeat: HeartbeatService
    rules: RuleService
    runtime: RuntimeConfig
    keys: KeyRing
    metrics: Metrics
    settings: Settings
    version: str
    started: float
    starting: Callable[[], bool] = _never
    clock: Callable[[], float] = time.monotonic

    @property
    def uptime(self) -> int:
        """Whole seconds since the start."""
        return int(self.clock() - self.started)
