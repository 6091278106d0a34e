"""Secrets by name. They are looked up each time they are needed, since they may be rotated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from candy_core.config.secret_files import read_secret_file
from candy_core.config.settings import Settings
from candy_core.errors import NotFound
from candy_core.model.secret import Secret

_CACHE_SECONDS = 5.0
"""Seconds for which a secret from a file is cached: thousands of callbacks a second need the same one."""


class Credentials:
    """The credentials of the core: ``server``, the key for Candy-Server, and ``agent``, the agent's own API key.

    ``agent_key`` returns the key that the agent generated if none is configured. ``files`` are the files that secrets
    come from (``Configuration.secret_files``), which are read again.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        agent_key: Callable[[], Secret | None] = lambda: None,
        files: Mapping[str, Path] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._agent_key = agent_key
        self._files = dict(files or {})
        self._clock = clock
        self._read: dict[str, tuple[float, Secret]] = {}

    async def lookup(self, name: str) -> Secret:
        """Return a secret by name. Raises :class:`NotFound`, which says what to configure."""
        if name == "server":
            if secret := await self._setting("server_api_key", self._settings.server_api_key):
                return secret
            raise NotFound("there is no key for Candy-Server: set CANDY_SERVER_API_KEY or CANDY_SERVER_API_KEY_FILE")
        if name == "agent":
            if secret := await self._setting("api_key", self._settings.api_key) or self._agent_key():
                return secret
            raise NotFound("the agent has no API key: set CANDY_API_KEY or CANDY_API_KEY_FILE")
        raise NotFound(f"there is no credential {name[:100]!r}; there are 'agent' and 'server'")

    async def _setting(self, key: str, configured: Secret | None) -> Secret | None:
        file = self._files.get(key)
        if file is None:
            return configured
        read_at, secret = self._read.get(key, (None, configured))
        if read_at is None or self._clock() - read_at >= _CACHE_SECONDS:
            with suppress(ValueError):  # if the file is just being replaced, or is gone, the last secret remains
                secret = Secret(await asyncio.to_thread(read_secret_file, file))
            if secret:
                self._read[key] = (self._clock(), secret)
        return secret
