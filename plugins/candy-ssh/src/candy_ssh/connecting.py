"""Making one connection: its host's key checked, its user logged in, or the reason why not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial

import asyncssh
from attrs import field, frozen

from candy_core import Reason
from candy_ssh.failures import Unable, reason_of
from candy_ssh.host import Host
from candy_ssh.host_keys import Trusted
from candy_ssh.login import Login

_TOO_MANY_TRIES = "Too many authentication failures"
_CLOSED = "it closes the connection before the login: MaxStartups is reached, or this agent's address is refused"
_RETRY = (0.2, 1.0)
"""Seconds, at random, before the one further try: a server that is busy refuses many at one time."""


@frozen(kw_only=True)
class Target:
    """Where to, as whom, and through which other host."""

    host: Host
    port: int
    login: Login
    trusted: Trusted = field(repr=False)
    via: Target | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for those that may share a connection."""
        via = None if self.via is None else self.via.key
        return (self.host, self.port, self.login.username, self.login.identity, self.trusted.identity, via)


class Client(asyncssh.SSHClient):
    """Tells when a connection is gone, and whether its server had shown its key."""

    def __init__(self) -> None:
        self.greeted = False
        self._lost = False
        self._tell: Callable[[], None] | None = None

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once, when the connection is gone or if it is already."""
        self._tell = tell
        if self._lost:
            tell()

    def begin_auth(self, username: str) -> None:
        """The key exchange is behind us."""
        self.greeted = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone, in order or not."""
        if not self._lost and self._tell is not None:
            self._tell()
        self._lost = True


async def connect(
    target: Target,
    *,
    timeout: float,
    keepalive: float,
    tunnel: asyncssh.SSHClientConnection | None = None,
) -> tuple[asyncssh.SSHClientConnection, Client]:
    """Connect and log in within ``timeout`` seconds. Raises :class:`Unable`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    for last in (False, True):
        client = Client()
        try:
            async with asyncio.timeout_at(deadline):
                connection = await asyncssh.connect(
                    target.host,
                    target.port,
                    tunnel=tunnel,
                    client_factory=partial(_this, client),
                    options=_options(target, keepalive, timeout),
                )
                return connection, client
        except TimeoutError:
            raise Unable(Reason.UNREACHABLE, f"no answer within {timeout:g} s") from None
        except (OSError, asyncssh.Error) as error:
            busy = isinstance(error, ConnectionResetError | asyncssh.ConnectionLost) and not client.greeted
            wait = random.uniform(*_RETRY)  # noqa: S311  # spreads tries, hides nothing
            if last or not busy or loop.time() + wait >= deadline:
                raise Unable(Reason.UNREACHABLE, _CLOSED) if busy else _unable(error, target) from None
            await asyncio.sleep(wait)
    raise AssertionError("the last try either returns or raises")


def _this(client: Client) -> Client:
    return client


def _options(target: Target, keepalive: float, timeout: float) -> asyncssh.SSHClientConnectionOptions:
    """Nothing of the agent's own account (its keys, its ssh agent, its files) takes part."""
    password = target.login.password
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        username=target.login.username,
        password=None if password is None else password.reveal(),
        client_keys=list(target.login.keys) or None,
        agent_path=None,
        known_hosts=target.trusted.for_asyncssh(),
        server_host_key_algs=target.trusted.algorithms(),
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        gss_host=None,
        pkcs11_provider=None,
        preferred_auth="publickey" if password is None else "password,keyboard-interactive",
        compression_algs=None,
        keepalive_interval=keepalive,
        login_timeout=timeout,
        agent_forwarding=False,
    )


def _unable(error: OSError | asyncssh.Error, target: Target) -> Unable:
    why = reason_of(error)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        known = "another key is known" if target.trusted.keys else "no key of it is known"
        return Unable(Reason.HOST_KEY_MISMATCH, f"{why} ({known})")
    if isinstance(error, asyncssh.KeyExchangeFailed) and "host key" in why.lower():
        return Unable(Reason.HOST_KEY_MISMATCH, f"{why} (it has no key of the kinds that are known)")
    if isinstance(error, asyncssh.PermissionDenied) or _TOO_MANY_TRIES in why:
        return Unable(Reason.AUTH_FAILED, why)
    return Unable(Reason.UNREACHABLE, why)
