"""The parts of the agent that the REST layer uses."""

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
    """The parts of the agent that handlers use.

    ``started`` is the process's start on ``clock``, which is monotonic and in seconds. ``starting`` is true until every
    plugin has been opened or has failed once; ``/ready`` shows it.
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
        """Whole seconds since the process started."""
        return int(self.clock() - self.started)
