"""Logins: the credentials of items, looked up when they are needed. Keys are parsed once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh
from attrs import Factory, define, field, frozen

from candy_core import NotFound, Reason, Secret
from candy_ssh.failures import HostFailure
from candy_ssh.host import Host, allowed
from candy_ssh.params import SshParams
from candy_ssh.settings import Credential, SshSettings

MAX_PARSED = 64
CORE_NAMES = frozenset({"server", "agent"})
"""The core's own credentials. The keys for Candy-Server and for this agent must never be sent to another host."""


@frozen(kw_only=True)
class Login:
    """A user name with its password or keys. ``identity`` is equal for equal secrets, and reveals nothing of them."""

    username: str
    identity: bytes = field(repr=False)
    password: Secret | None = field(default=None, repr=False)
    keys: tuple[asyncssh.SSHKeyPair, ...] = field(default=(), repr=False)


@define
class Logins:
    """Creates logins from the params of items and from the settings."""

    _settings: SshSettings
    _lookup: Callable[[str], Awaitable[Secret]]
    _salt: bytes = field(factory=lambda: secrets.token_bytes(32), repr=False)
    _parsed: OrderedDict[bytes, tuple[asyncssh.SSHKeyPair, ...]] = field(factory=OrderedDict, repr=False)
    _lock: asyncio.Lock = Factory(asyncio.Lock)

    async def for_params(self, params: SshParams, host: Host) -> Login:
        """The login of an item for one host.

        Raises :class:`HostFailure`: ``not_allowed``, ``not_configured``, ``bad_params``, ``auth_failed``.
        """
        if params.credential is not None:
            return await self.for_credential(params.credential, host, params.username)
        username = params.username or self._settings.username
        if username is None:
            raise HostFailure(Reason.BAD_PARAMS, "$.params.username: is required")
        if params.password is None and params.private_key is None:
            raise HostFailure(Reason.BAD_PARAMS, "$.params.credential: is required, or password, or private_key")
        given = Credential(
            username=username, password=params.password, private_key=params.private_key, passphrase=params.passphrase
        )
        return await self._login(username, given)

    async def for_credential(self, name: str, host: Host, username: str | None = None) -> Login:
        """The login of a named credential for one host. The settings come first, then the agent's store."""
        credential = self._settings.credentials.get(name)
        if credential is None:
            credential = await self._stored(name)
        elif not allowed(host, credential.hosts):
            raise HostFailure(Reason.NOT_ALLOWED, f"the credential {name!r} is not for this host")
        if username is not None and credential.username is not None and username != credential.username:
            raise HostFailure(Reason.NOT_ALLOWED, f"the credential {name!r} is for another user name")
        username = credential.username or username or self._settings.username
        if username is None:
            raise HostFailure(Reason.BAD_PARAMS, "$.params.username: is required")
        return await self._login(username, credential)

    async def _stored(self, name: str) -> Credential:
        shown = name.encode("unicode_escape").decode()[:128]
        if name in CORE_NAMES:
            raise HostFailure(Reason.NOT_ALLOWED, f"the credential {shown!r} is the agent's own")
        try:
            secret = await self._lookup(name)
        except NotFound:
            raise HostFailure(Reason.NOT_CONFIGURED, f"plugins.ssh.credentials.{shown}") from None
        if secret.reveal().lstrip().startswith("-----BEGIN "):
            return Credential(private_key=secret)
        return Credential(password=secret)

    async def _login(self, username: str, credential: Credential) -> Login:
        if credential.password is not None:
            return Login(
                username=username, identity=self._identity(credential.password.reveal()), password=credential.password
            )
        text = credential.private_key.reveal() if credential.private_key is not None else None
        if credential.private_key_file is not None:
            text = await _text_of(credential.private_key_file)
        certificate = credential.certificate
        if certificate is not None and certificate.startswith("/"):
            certificate = await _text_of(Path(certificate))
        passphrase = None if credential.passphrase is None else credential.passphrase.reveal()
        identity = self._identity(text or "", passphrase or "", certificate or "")
        async with self._lock:  # decrypting a key with a passphrase takes up to a second
            keys = self._parsed.get(identity)
            if keys is None:
                keys = await asyncio.to_thread(_parse, text or "", passphrase, certificate)
                self._parsed[identity] = keys
                if len(self._parsed) > MAX_PARSED:
                    self._parsed.popitem(last=False)
        return Login(username=username, identity=identity, keys=keys)

    def _identity(self, *secret_texts: str) -> bytes:
        digest = hmac.new(self._salt, digestmod=hashlib.sha256)
        for text in secret_texts:
            data = text.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        return digest.digest()


def _parse(text: str, passphrase: str | None, certificate: str | None) -> tuple[asyncssh.SSHKeyPair, ...]:
    try:
        key = asyncssh.import_private_key(text, passphrase)
        if certificate is None:
            return tuple(asyncssh.load_keypairs([key]))
        return tuple(asyncssh.load_keypairs([(key, asyncssh.import_certificate(certificate))]))
    except asyncssh.KeyEncryptionError:
        raise HostFailure(Reason.AUTH_FAILED, "the passphrase does not decrypt the private key") from None
    except (asyncssh.KeyImportError, ValueError):
        # Without the library's message, which may contain a part of the key.
        raise HostFailure(
            Reason.AUTH_FAILED, "the private key, its certificate or its passphrase cannot be used"
        ) from None


async def _text_of(file: Path) -> str:
    try:
        return await asyncio.to_thread(file.read_text)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not a text"
        raise HostFailure(Reason.AUTH_FAILED, f"{file} cannot be read: {why}") from None
