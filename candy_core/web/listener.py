"""The socket that the agent listens on, with TLS if configured (contract section 7)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from candy_core.config.settings import Address, Settings
from candy_core.errors import SettingsError
from candy_core.web.application import make_application
from candy_core.web.server import Runner
from candy_core.web.services import Services


@asynccontextmanager
async def listening(services: Services, *, shutdown_timeout: float) -> AsyncIterator[Address]:
    """Serve the REST API inside the context. Yields the address, with the port that was chosen.

    ``shutdown_timeout`` is the time limit for open requests at the end, in seconds. Raises :class:`SettingsError` for
    an address in use and for unusable certificates.
    """
    settings = services.settings
    runner = Runner(make_application(services), handle_signals=False, shutdown_timeout=shutdown_timeout)
    await runner.setup()
    try:
        listener = _listener(settings.listen)
        site = web.SockSite(runner, listener, ssl_context=_tls(settings), backlog=1024)
        await site.start()
        yield Address(settings.listen.host, listener.getsockname()[1])
    finally:
        await runner.cleanup()


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=1024)
    except OSError as error:
        raise SettingsError(f"CANDY_LISTEN: cannot listen on {address}: {error.strerror}") from None


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
        if settings.tls_client_ca_file is not None:
            context.load_verify_locations(settings.tls_client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"CANDY_TLS_CERT_FILE or the files that belong to it cannot be used: {error}") from None
    return context
