"""Shared connections: one for each host, port, login and set of trusted host keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
from attrs import Factory, define, field

from candy_ssh.connection import Target, connect
from candy_ssh.failures import HostFailure
from candy_ssh.settings import SshSettings

_CLOSE_SECONDS = 2.0


@define(eq=False)
class PooledConnection:
    """One connection. ``users`` counts runs, and connections that are tunneled through it."""

    connection: asyncssh.SSHClientConnection
    users: int = 0
    last_used: float = 0.0
    idle_timer: asyncio.TimerHandle | None = None
    ended: bool = False

    @property
    def alive(self) -> bool:
        """Whether new sessions can be tried."""
        return not self.ended and not self.connection.is_closed()

    def acquire(self) -> None:
        """Count one more user."""
        self.users += 1
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None

    def end(self) -> None:
        """Close it, even if it is in use."""
        self.ended = True
        if self.idle_timer is not None:
            self.idle_timer.cancel()
        self.connection.abort()


@define(eq=False)
class PoolSlot:
    """The pool's state for one target. ``failures`` counts attempts that failed."""

    runs: asyncio.Semaphore
    lock: asyncio.Lock = Factory(asyncio.Lock)
    pooled: PooledConnection | None = None
    waiting: int = 0
    failures: int = 0
    last_failure: HostFailure | None = None


@define(eq=False)
class Pool:
    """Provides connections. Created and closed by the plugin's ``open``."""

    _settings: SshSettings
    opened: int = 0
    """The number of connections opened so far."""
    _slots: dict[tuple[object, ...], PoolSlot] = field(factory=dict, repr=False)
    _connections: set[PooledConnection] = field(factory=set, repr=False)
    _queued: int = 0
    _capacity: asyncio.Semaphore = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._capacity = asyncio.Semaphore(self._settings.max_connections)

    @asynccontextmanager
    async def session(self, target: Target) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """A connection with capacity for one more run. Raises :class:`HostFailure`."""
        slot = self._slot(target)
        slot.waiting += 1
        try:
            await self._pooled(slot, target)  # before waiting for a free run: a failure is for all callers
            async with slot.runs:
                pooled = await self._pooled(slot, target)  # it may have been lost during the wait
                pooled.acquire()
                try:
                    yield pooled.connection
                finally:
                    self._release(pooled)
        finally:
            slot.waiting -= 1
            self._drop_unused_slots()

    @asynccontextmanager
    async def fresh(self, target: Target) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """A new connection that is not shared and not limited, for stopping a command."""
        jump = await self._jump(target)
        try:
            tunnel = None if jump is None else jump.connection
            connection, _ = await connect(target, timeout=self._settings.connect_timeout, keepalive=0, tunnel=tunnel)
            try:
                yield connection
            finally:
                connection.abort()
        finally:
            self._release(jump)

    def discard(self, connection: asyncssh.SSHClientConnection) -> None:
        """Close a connection whose host does not respond any more."""
        for pooled in list(self._connections):
            if pooled.connection is connection:
                pooled.end()

    async def close(self) -> None:
        """Close every connection, even those in use."""
        connections, self._connections = list(self._connections), set()
        for pooled in connections:
            pooled.end()
        waits = [asyncio.ensure_future(pooled.connection.wait_closed()) for pooled in connections]
        if waits:
            _, late = await asyncio.wait(waits, timeout=_CLOSE_SECONDS)
            for each in late:
                each.cancel()

    async def _pooled(self, slot: PoolSlot, target: Target, *, counted: bool = True) -> PooledConnection:
        """The target's connection, opened if there is none. Callers that wait for one attempt share its failure."""
        if slot.pooled is not None and slot.pooled.alive:
            return slot.pooled
        failures = slot.failures
        async with slot.lock:
            if slot.pooled is not None and slot.pooled.alive:
                return slot.pooled
            if slot.failures > failures and slot.last_failure is not None:
                raise slot.last_failure.copy()
            try:
                slot.pooled = await self._open(target, counted=counted)
            except HostFailure as failure:
                slot.failures += 1
                slot.last_failure = failure
                raise
            self._start_idle_timer(slot.pooled)
            return slot.pooled

    async def _open(self, target: Target, *, counted: bool = True) -> PooledConnection:
        jump = await self._jump(target)
        try:
            if counted:
                await self._acquire_capacity()
        except BaseException:
            self._release(jump)
            raise

        def release() -> None:
            if counted:
                self._capacity.release()
            self._release(jump)

        try:
            connection, client = await connect(
                target,
                timeout=self._settings.connect_timeout,
                keepalive=self._settings.keepalive,
                tunnel=None if jump is None else jump.connection,
            )
        except BaseException:
            release()
            raise
        self.opened += 1
        pooled = PooledConnection(connection)
        self._connections.add(pooled)

        def lost() -> None:
            self._connections.discard(pooled)
            release()

        client.call_when_lost(lost)
        return pooled

    async def _jump(self, target: Target) -> PooledConnection | None:
        """The jump host's connection, used as long as the target's own one. It does not count as capacity."""
        if target.via is None:
            return None
        slot = self._slot(target.via)
        slot.waiting += 1
        try:
            pooled = await self._pooled(slot, target.via, counted=False)
            pooled.acquire()
            return pooled
        except HostFailure as failure:
            raise HostFailure(failure.reason, f"the jump host {target.via.host}: {failure.why}") from None
        finally:
            slot.waiting -= 1

    def _release(self, pooled: PooledConnection | None) -> None:
        """Count one user less. An unused connection stays open for a while, or is closed if others need capacity."""
        if pooled is None:
            return
        pooled.users -= 1
        if pooled.users or not pooled.alive:
            return
        if self._queued:
            pooled.end()
        else:
            self._start_idle_timer(pooled)

    def _start_idle_timer(self, pooled: PooledConnection) -> None:
        loop = asyncio.get_running_loop()
        pooled.last_used = loop.time()
        pooled.idle_timer = loop.call_later(self._settings.idle_time, pooled.end)

    async def _acquire_capacity(self) -> None:
        """Wait until one more connection is allowed. If need be, the longest unused connection is closed."""
        if self._capacity.locked():
            unused = [pooled for pooled in self._connections if not pooled.users and pooled.alive]
            if unused:
                min(unused, key=lambda pooled: pooled.last_used).end()
        self._queued += 1
        try:
            await self._capacity.acquire()
        finally:
            self._queued -= 1

    def _slot(self, target: Target) -> PoolSlot:
        slot = self._slots.get(target.key)
        if slot is None:
            slot = self._slots[target.key] = PoolSlot(asyncio.Semaphore(self._settings.runs_per_connection))
        return slot

    def _drop_unused_slots(self) -> None:
        """Delete the slots that have neither a connection nor a waiting caller, once there are many slots."""
        if len(self._slots) > 2 * len(self._connections) + 64:
            for key, slot in list(self._slots.items()):
                if not slot.waiting and (slot.pooled is None or not slot.pooled.alive):
                    del self._slots[key]
