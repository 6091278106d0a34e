"""The plugin's settings: ``plugins.callback`` in the file, ``CANDY_CALLBACK_…`` in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attrs import frozen

from candy_callback.url import CallbackUrl
from candy_core import Meta, Secret


@frozen(kw_only=True)
class CallbackSettings:
    """Every field has a default: without any, results go to Candy-Server. Times are in seconds."""

    url: CallbackUrl | None = None
    """Where results go; ``{task_id}`` is replaced. ``None``: ``{server_url}/api/v1/results/{task_id}``."""
    secret: Secret | None = None
    """Signs the body. ``None``: the key for Candy-Server is used, or the agent's own key without one."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts to which a task's own callback may go: names, addresses, and globs such as ``*.example.com``."""
    max_age: Annotated[float, Meta(gt=0, le=30 * 86400)] = 86400.0
    """The age at which an undelivered result becomes a dead letter."""
    timeout: Annotated[float, Meta(gt=0, le=55)] = 30.0
    """For one attempt. The core bounds an attempt at 60 s."""
    max_connections: Annotated[int, Meta(ge=1, le=256)] = 8
    """Connections open at the same time; idle ones are kept for the next result."""
    ca_file: Path | None = None
    """Certificates (PEM) to trust in addition to the system's."""
