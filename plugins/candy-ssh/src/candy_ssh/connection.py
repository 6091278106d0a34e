"""Opens one connection: checks the host key and logs in, or says why that failed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import asyncssh
from attrs import field, frozen

from candy_core import Reason
from candy_ssh.failures import HostFailure, cause_of
from candy_ssh.host import Host
from candy_ssh.host_keys import TrustedKeys
from candy_ssh.login import Login

_TOO_MANY_FAILURES = "Too many authentication failures"
_CLOSED = "it closes the connection before the login: MaxStartups is reached, or this agent's address is refused"
_RETRY = (0.2, 1.0)
"""The bounds of the random pause in seconds before the second attempt: a busy server rejects many clients at once."""


@frozen(kw_only=True)
class Target:
    """A host, the login, the trusted host keys, and the jump host."""

    host: Host
    port: int
    login: Login
    trusted: TrustedKeys = field(repr=False)
    via: Target | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for targets that may share a connection."""
        via = None if self.via is None else self.via.key
        return (self.host, self.port, self.login.username, self.login.identity, self.trusted.identity, via)


class Client(asyncssh.SSHClient):
    """Notes whether the key exchange was completed, and reports the loss of the connection."""

    def __init__(self) -> None:
        self.keys_exchanged = False
        self._lost = False
        self._on_lost: Callable[[], None] | None = None

    def call_when_lost(self, on_lost: Callable[[], None]) -> None:
        """Call ``on_lost`` once, when the connection is lost, or now if it has been."""
        self._on_lost = on_lost
        if self._lost:
            on_lost()

    def begin_auth(self, username: str) -> None:
        """The key exchange is complete."""
        self.keys_exchanged = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, cleanly or not."""
        if not self._lost and self._on_lost is not None:
            self._on_lost()
        self._lost = True


async def connect(
    target: Target,
    *,
    timeout: float,
    keepalive: float,
    tunnel: asyncssh.SSHClientConnection | None = None,
) -> tuple[asyncssh.SSHClientConnection, Client]:
    """Connect and log in within ``timeout`` seconds. Raises :class:`HostFailure`."""
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
                    client_factory=lambda client=client: client,
                    options=_options(target, keepalive, timeout),
                )
                return connection, client
        except TimeoutError:
            raise HostFailure(Reason.UNREACHABLE, f"no answer within {timeout:g} s") from None
        except (OSError, asyncssh.Error) as error:
            busy = isinstance(error, ConnectionResetError | asyncssh.ConnectionLost) and not client.keys_exchanged
            wait = random.uniform(*_RETRY)  # noqa: S311  # spreads attempts, hides nothing
            if last or not busy or loop.time() + wait >= deadline:
                raise HostFailure(Reason.UNREACHABLE, _CLOSED) if busy else _failure(error, target) from None
            await asyncio.sleep(wait)
    raise AssertionError("the last attempt either returns or raises")


def _options(target: Target, keepalive: float, timeout: float) -> asyncssh.SSHClientConnectionOptions:
    """Nothing of the agent's own user account is used: neither its keys nor its ssh agent nor its files."""
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


def _failure(error: OSError | asyncssh.Error, target: Target) -> HostFailure:
    why = cause_of(error)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        known = "another key is known" if target.trusted.keys else "no key of it is known"
        return HostFailure(Reason.HOST_KEY_MISMATCH, f"{why} ({known})")
    if isinstance(error, asyncssh.KeyExchangeFailed) and "host key" in why.lower():
        return HostFailure(Reason.HOST_KEY_MISMATCH, f"{why} (it has no key of a known type)")
    if isinstance(error, asyncssh.PermissionDenied) or _TOO_MANY_FAILURES in why:
        return HostFailure(Reason.AUTH_FAILED, why)
    return HostFailure(Reason.UNREACHABLE, why)
