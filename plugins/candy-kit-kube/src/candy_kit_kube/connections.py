"""The connection of now: found late, looked for again, and read anew when what it was read from has changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from candy_core import Logger
from candy_kit_kube.api_errors import NoCluster
from candy_kit_kube.connection import Connection, Trusted, find_connection, stamp_of
from candy_kit_kube.kubeconfig import Unusable
from candy_kit_kube.settings import ClusterSettings, Surroundings

LOOK_AGAIN_AFTER = 2.0
"""Seconds between two looks for a cluster that is not there, and between two questions for a new credential."""
REREAD_AFTER = 10.0
"""Seconds after which the files of a configuration are looked at again."""
EARLY = 30.0
"""Seconds before its end at which a credential is made anew."""


class Connections:
    """Owns the connection. Callers share it, and one looks for a new one while the others wait."""

    def __init__(
        self,
        settings: ClusterSettings,
        surroundings: Surroundings,
        trusted: Trusted,
        logger: Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self._trusted = trusted
        self._logger = logger
        self._clock = clock
        self._lock = asyncio.Lock()
        self._current: Connection | None = None
        self._missing = ""
        self._look_at = 0.0
        """When the files are looked at next, or the cluster is looked for next."""
        self._ends = float("inf")
        self._asked = float("-inf")

    async def current(self) -> Connection:
        """How the cluster is reached now. Raises :class:`NoCluster` where none is configured, and says why."""
        if self._current is None or self._clock() >= min(self._look_at, self._ends):
            async with self._lock:
                await self._look()
        if self._current is None:
            raise NoCluster(self._missing, retry_after=LOOK_AGAIN_AFTER)
        return self._current

    async def renewed(self, refused: Connection) -> Connection | None:
        """Another connection than ``refused``, whose credential was not taken; ``None`` where there is no other."""
        async with self._lock:
            if self._current is refused:
                now = self._clock()
                changed = refused.stamp != await asyncio.to_thread(stamp_of, refused.files)
                if changed or (refused.renewable and now - self._asked >= LOOK_AGAIN_AFTER):
                    await self._find()
        return self._current if self._current is not refused else None

    def doubt(self) -> None:
        """Nobody answers there: look at the files before the next call, for the address may have changed."""
        self._look_at = float("-inf")

    async def _look(self) -> None:
        now = self._clock()
        if now < min(self._look_at, self._ends):
            return  # somebody has looked while we waited
        if self._current is not None and now < self._ends:
            self._look_at = now + REREAD_AFTER
            if self._current.stamp == await asyncio.to_thread(stamp_of, self._current.files):
                return
        await self._find()

    async def _find(self) -> None:
        first = self._current is None
        try:
            found = await find_connection(self._settings, self._surroundings, self._trusted)
        except Unusable as error:
            if str(error) != self._missing:
                self._logger.warning("cluster_missing", reason=str(error))
            self._current, self._missing = None, str(error)
            self._ends = float("inf")
            self._look_at = self._clock() + LOOK_AGAIN_AFTER
            return
        now = self._clock()
        self._current, self._missing = found, ""
        self._asked = now
        self._look_at = now + REREAD_AFTER
        self._ends = float("inf") if found.seconds is None else now + max(found.seconds - EARLY, LOOK_AGAIN_AFTER)
        self._logger.info("cluster_found" if first else "cluster_reread", host=found.host)
