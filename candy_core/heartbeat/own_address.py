"""The address at which others reach this agent (contract section 4, ``agent_endpoint``)."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from candy_core.config.settings import Address

POD_IP = "POD_IP"
"""The variable for the pod's own address, set by the downward API."""
_LOOKUP_SECONDS = 1.0
_CACHE_SECONDS = 300.0


class OwnAddress:
    """Finds the address: the pod's own, else that of the interface that routes to Candy-Server; caches the latter."""

    def __init__(self, server_url: str | None, environ: Mapping[str, str] = os.environ) -> None:
        self._server_url = server_url
        self._environ = environ
        self._found: tuple[float, str] | None = None

    async def endpoint(self, listen: Address, scheme: str) -> str:
        """``scheme://host:port``. If the agent listens on one address only, it is that one."""
        return f"{scheme}://{Address(await self._host(listen), listen.port)}"

    async def _host(self, listen: Address) -> str:
        own = _address_of(listen.host)
        if listen.host and (own is None or not own.is_unspecified):
            return listen.host
        if _address_of(pod := self._environ.get(POD_IP, "").strip()):
            return pod
        now = time.monotonic()
        if self._found is None or now - self._found[0] > _CACHE_SECONDS:
            local = await self._local_address()
            if local is None:
                return socket.gethostname()  # the next heartbeat tries again
            self._found = (now, local)
        return self._found[1]

    async def _local_address(self) -> str | None:
        """The local address that packets to Candy-Server are sent from."""
        if self._server_url is None:
            return None
        url = urlsplit(self._server_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        with suppress(OSError, TimeoutError, UnicodeError):
            async with asyncio.timeout(_LOOKUP_SECONDS):
                found = await loop.getaddrinfo(url.hostname, port, type=socket.SOCK_DGRAM)
            for family, kind, protocol, _, address in found:
                with suppress(OSError), socket.socket(family, kind, protocol) as probe:
                    probe.setblocking(False)
                    probe.connect(address)  # of a datagram socket: chooses a route, sends nothing
                    return str(probe.getsockname()[0])
        return None


def is_loopback(url: str) -> bool:
    """Whether a URL's host is loopback."""
    host = urlsplit(url).hostname or ""
    address = _address_of(host)
    return host == "localhost" if address is None else address.is_loopback


def _address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """A host as an address; ``None`` if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
