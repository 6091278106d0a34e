"""What the core provides to every plugin."""

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
    """Limits in bytes: ``answer`` for a response of a backend, ``output`` for each stream of a command.

    See contract section 7.
    """

    answer: int = 32 * 1024 * 1024
    output: int = 64 * 1024


@frozen(kw_only=True)
class Health:
    """The result of a Spec's ``check``: whether it can work, and if not, why, in one sentence."""

    ok: bool
    detail: str = ""


@frozen(kw_only=True)
class PluginContext:
    """What a plugin gets when it is opened.

    ``credential`` returns a secret by name. Call it each time the secret is needed, since secrets are rotated. It
    raises :class:`~candy_core.errors.NotFound` for an unknown name. The core itself has two: ``server`` is the key for
    Candy-Server, ``agent`` the agent's own API key.

    ``tls`` creates a context for outgoing connections, into which a plugin may load its own certificates. It reads the
    system's certificates, so call it in a thread. ``server_url`` is the address of Candy-Server, if one is configured.
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
        """Open an HTTP client whose responses are limited to ``limits.answer`` bytes.

        For the parameters see :func:`~candy_core.http_client.http_client`.
        """
        return http_client(
            limit=self.limits.answer,
            connections=connections,
            timeout=timeout,
            connect_timeout=connect_timeout,
            tls=tls,
        )
