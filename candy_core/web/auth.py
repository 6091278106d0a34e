"""Authentication and authorization by API key, with a limit on failures (contract section 1)."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog
from aiohttp import web

from candy_core.keys import Caller, KeyRing
from candy_core.web.operation import Operation
from candy_core.web.problems import RequestRejected, retry_after


class FailureLimiter:
    """Limits failures per address to ``limit`` in ``window`` seconds.

    It counts failures only, so a valid key is never rejected. It keeps the latest ``addresses`` addresses. An IPv6
    client counts as its /64, which is what one client usually has.
    """

    def __init__(
        self,
        *,
        limit: int = 20,
        window: float = 60.0,
        addresses: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._window = window
        self._addresses = addresses
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def record_failure(self, address: str) -> float | None:
        """Count a failure. Returns the seconds to wait if there have been too many, else ``None``."""
        now = self._clock()
        client = _client(address)
        since, count = self._failures.pop(client, (now, 0))
        if now - since >= self._window:
            since, count = now, 0
        self._failures[client] = (since, count + 1)
        if len(self._failures) > self._addresses:
            self._failures.popitem(last=False)
        return since + self._window - now if count >= self._limit else None


class Authenticator:
    """Decides which requests are allowed."""

    def __init__(self, keys: KeyRing, limiter: FailureLimiter) -> None:
        self._keys = keys
        self._limiter = limiter
        self._log = structlog.get_logger("candy.web")

    def authenticate(self, request: web.Request, operation: Operation) -> Caller | None:
        """The caller; ``None`` for a route that needs no key. Raises :class:`RequestRejected` with 401, 429 or 403."""
        caller = self._keys.authenticate(request.headers)
        if caller is None:
            if operation.scope is None and not _has_key(request):
                return None
            wait = self._limiter.record_failure(request.remote or "")
            if operation.scope is None:
                return None
            if wait is not None:
                raise RequestRejected(
                    "slow_down",
                    "Too many requests without a valid key came from this address.",
                    headers=retry_after(wait),
                )
            self._log.warning("authentication_failed", address=request.remote, route=operation.path)
            raise RequestRejected(
                "unauthenticated",
                "Send one valid key, as X-API-Key or as Authorization: Bearer.",
                headers={"WWW-Authenticate": 'Bearer realm="candy-agent"'},
            )
        if operation.scope is not None and not caller.allows(operation.scope):
            raise RequestRejected("forbidden", f"This needs a key with the scope {operation.scope}.")
        return caller


def _has_key(request: web.Request) -> bool:
    return "X-API-Key" in request.headers or "Authorization" in request.headers


def _client(address: str) -> str:
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
