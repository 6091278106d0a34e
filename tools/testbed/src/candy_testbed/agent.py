"""The agent itself as a process: ``candy-agent serve``, configured by its environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from candy_testbed.server import LoopbackServer, answers


class AgentProcess(LoopbackServer):
    """``candy-agent serve`` of this virtual environment, with ``env`` (``CANDY_PROMETHEUS_URL`` …) for configuration.

    It has a home folder of its own, and so never finds the kubeconfig of the user who runs it. Leaving the context is
    SIGTERM: running tasks get their grace and callbacks are flushed; ``exit_code`` is then known.
    """

    program: ClassVar[str] = str(Path(sys.executable).with_name("candy-agent"))
    package: ClassVar[str] = "make (this checkout is not installed: run make install)"
    stop_timeout: ClassVar[float] = 120.0
    """It has to be gone in 30 s (contract section 6); on a busy machine that is more."""

    def command(self) -> Sequence[str]:
        """Everything else is in the environment."""
        return ["serve"]

    def environment(self) -> dict[str, str]:
        """Adds the address at which it listens."""
        return super().environment() | {"CANDY_LISTEN": self.address}

    def ready(self) -> bool:
        """Whether the process answers; ``/ready`` says more."""
        return answers(f"{self.url}/health")
