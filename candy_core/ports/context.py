"""What the core lends to every plugin."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from attrs import field, frozen
from structlog.typing import FilteringBoundLogger

from candy_core.http_client import HttpClient, http_client
from candy_core.model.secret import Secret

Logger: TypeAlias = FilteringBoundLogger


@frozen(kw_only=True)
class ByteLimits:
    """Bounds in bytes: ``answer`` for what a backend answers, ``output`` for each stream of a command (§7)."""

    answer: int = 32 * 1024 * 1024
    output: int = 64 * 1024


@frozen(kw_only=True)
class Health:
    """What a Spec's ``check`` says: able to work or not, and why not in one sentence."""

    ok: bool
    detail: str = ""


@frozen(kw_only=True)
class PluginContext:
    """What a plugin is given when it is opened.

    ``credential`` looks a name up late, each time it is needed, so that a rotated secret is seen. It raises
    :class:`~candy_core.errors.NotFound` for a name that is not there. Two names are the core's own: ``server`` is the
    key for Candy-Server, ``agent`` the agent's own API key.

    ``tls`` makes the context for outgoing connections; plugins may load their own certificates into it. It reads the
    system's certificates, so call it in a thread.
    """

    plugin: str
    agent_id: str
    core_version: str
    logger: Logger = field(repr=False)
    credential: Callable[[str], Awaitable[Secret]] = field(repr=False)
    tls: Callable[[], ssl.SSLContext] = field(default=ssl.create_default_context, repr=False)
    limits: ByteLimits = ByteLimits()
    server_url: str | None = None

    def http(
        self,
        *,
        connections: int = 0,
        timeout: float | None = None,
        connect_timeout: float | None = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> AbstractAsyncContextManager[HttpClient]:
        """An HTTP client for the time of the block, its answers bounded by ``limits.answer``.

        See :func:`~candy_core.http_client.http_client`, which has the parameters.
        """
        return http_client(
            limit=self.limits.answer,
            connections=connections,
            timeout=timeout,
            connect_timeout=connect_timeout,
            tls=tls,
        )
