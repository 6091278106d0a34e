"""The current connection: found at the first call, and read again when its files have changed or it expires."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from candy_core import Logger
from candy_kit_kube.api_errors import NoCluster
from candy_kit_kube.connection import Connection, DefaultTls, find_connection, fingerprint_of
from candy_kit_kube.kubeconfig import UnusableConfig
from candy_kit_kube.settings import ClusterSettings, Environment

RETRY_SECONDS = 2.0
"""Between two searches for a cluster that was not found, and between two requests for a new credential."""
RECHECK_SECONDS = 10.0
"""Between two checks whether the files of a configuration have changed."""
RENEW_BEFORE_SECONDS = 30.0
"""How long before a credential expires a new one is requested."""


class ConnectionCache:
    """Owns the connection. All callers share it; while one reads it again, the others wait."""

    def __init__(
        self,
        settings: ClusterSettings,
        environment: Environment,
        default_tls: DefaultTls,
        logger: Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._default_tls = default_tls
        self._logger = logger
        self._clock = clock
        self._lock = asyncio.Lock()
        self._current: Connection | None = None
        self._problem = ""
        """Why there is no connection."""
        self._check_at = 0.0
        """When the files are checked next, or the cluster is searched for next."""
        self._expires_at = float("inf")
        self._found_at = float("-inf")

    async def get(self) -> Connection:
        """The current connection. Raises :class:`NoCluster`, with the reason, if no cluster is found."""
        if self._current is None or self._clock() >= min(self._check_at, self._expires_at):
            async with self._lock:
                await self._refresh()
        if self._current is None:
            raise NoCluster(self._problem, retry_after=RETRY_SECONDS)
        return self._current

    async def renew(self, rejected: Connection) -> Connection | None:
        """A connection other than ``rejected``, whose credential was not accepted; ``None`` if there is none."""
        async with self._lock:
            if self._current is rejected:
                now = self._clock()
                changed = rejected.fingerprint != await asyncio.to_thread(fingerprint_of, rejected.files)
                if changed or (rejected.renewable and now - self._found_at >= RETRY_SECONDS):
                    await self._find()
        return self._current if self._current is not rejected else None

    def invalidate(self) -> None:
        """The server cannot be reached: check the files before the next call, since the address may have changed."""
        self._check_at = float("-inf")

    async def _refresh(self) -> None:
        now = self._clock()
        if now < min(self._check_at, self._expires_at):
            return  # another caller has refreshed it while this one waited
        if self._current is not None and now < self._expires_at:
            self._check_at = now + RECHECK_SECONDS
            if self._current.fingerprint == await asyncio.to_thread(fingerprint_of, self._current.files):
                return
        await self._find()

    async def _find(self) -> None:
        first = self._current is None
        try:
            found = await find_connection(self._settings, self._environment, self._default_tls)
        except UnusableConfig as error:
            if str(error) != self._problem:
                self._logger.warning("cluster_not_found", reason=str(error))
            self._current, self._problem = None, str(error)
            self._expires_at = float("inf")
            self._check_at = self._clock() + RETRY_SECONDS
            return
        now = self._clock()
        self._current, self._problem = found, ""
        self._found_at = now
        self._check_at = now + RECHECK_SECONDS
        lifetime = found.lifetime
        self._expires_at = (
            float("inf") if lifetime is None else now + max(lifetime - RENEW_BEFORE_SECONDS, RETRY_SECONDS)
        )
        self._logger.info("cluster_found" if first else "cluster_config_reloaded", host=found.host)
