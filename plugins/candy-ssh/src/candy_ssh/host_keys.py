"""The host keys that are trusted. Without any, no connection is opened (contract section 3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs
from attrs import define, frozen

from candy_core import Reason, SettingsError
from candy_ssh.failures import HostFailure, cause_of
from candy_ssh.host import Host
from candy_ssh.settings import SshSettings

RECHECK_SECONDS = 5.0
"""Seconds until the file is checked for changes again."""


@frozen(kw_only=True)
class TrustedKeys:
    """The keys of one host, those of the certificate authorities for it, and those that are revoked."""

    keys: tuple[asyncssh.SSHKey, ...]
    authorities: tuple[asyncssh.SSHKey, ...]
    revoked: tuple[asyncssh.SSHKey, ...]

    @property
    def identity(self) -> tuple[tuple[bytes, ...], ...]:
        """Equal for equal keys: a connection may be shared only by targets that trust the same keys."""
        return tuple(
            tuple(sorted(key.public_data for key in keys)) for keys in (self.keys, self.authorities, self.revoked)
        )

    def algorithms(self) -> list[str]:
        """The key algorithms to offer, those of known keys first.

        The others are offered so that a server without a known key presents the one it has. This distinguishes it from
        a server that is unreachable.
        """
        known = [each for key in self.keys for each in key.sig_algorithms]
        usual = [*get_default_public_key_algs()]
        certificates = [*get_default_certificate_algs()] if self.authorities else []
        names = dict.fromkeys([*certificates, *known, *usual])
        return [name.decode("ascii") for name in names]

    def for_asyncssh(self) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        """The value of asyncssh's option ``known_hosts``. Never empty: then asyncssh would read default files."""
        return list(self.keys), list(self.authorities), list(self.revoked)


@define
class HostKeys:
    """The known_hosts file, the pinned keys and the authorities of the settings."""

    _file: Path | None
    _pinned: Mapping[str, tuple[asyncssh.SSHKey, ...]]
    _authorities: tuple[asyncssh.SSHKey, ...]
    _known_hosts: asyncssh.SSHKnownHosts | None = None
    _stamp: tuple[int, int, int] | None = None
    _checked_at: float | None = None

    @classmethod
    def from_settings(cls, settings: SshSettings) -> HostKeys:
        """Raises :class:`SettingsError` for keys that cannot be read. The file is read when it is needed."""
        pinned = {host.lower(): _keys(f"host_keys: {host}", lines) for host, lines in settings.host_keys.items()}
        return cls(settings.known_hosts, pinned, _keys("host_ca", settings.host_ca))

    async def trusted(self, host: Host, port: int) -> TrustedKeys:
        """The keys that are trusted for ``host``.

        Raises :class:`HostFailure`: ``not_configured`` if no source of keys is configured or the file cannot be read,
        ``host_key_mismatch`` if no key is known for this host.
        """
        pinned = self._pinned.get(f"[{host}]:{port}", self._pinned.get(host, ()))
        keys, authorities = pinned, self._authorities
        revoked: tuple[asyncssh.SSHKey, ...] = ()
        if not pinned and self._file is not None:
            known = await self._known(self._file)
            # Only the name is looked up, not the address that it resolves to.
            found = known.match(host, "", None if port == 22 else port)
            keys, authorities, revoked = tuple(found[0]), (*found[1], *authorities), tuple(found[2])
        elif not pinned and not self._authorities:
            raise HostFailure(Reason.NOT_CONFIGURED, "CANDY_SSH_KNOWN_HOSTS")
        if not keys and not authorities:
            where = "" if port == 22 else f", where its entry is [{host}]:{port}"
            raise HostFailure(Reason.HOST_KEY_MISMATCH, f"no key of it is known{where}")
        return TrustedKeys(keys=keys, authorities=authorities, revoked=revoked)

    async def _known(self, file: Path) -> asyncssh.SSHKnownHosts:
        now = time.monotonic()
        if self._known_hosts is not None and self._checked_at is not None and now - self._checked_at <= RECHECK_SECONDS:
            return self._known_hosts
        try:
            known, self._stamp = await asyncio.to_thread(self._read_if_changed, file)
        except (OSError, ValueError) as error:
            why = f"CANDY_SSH_KNOWN_HOSTS: {file} cannot be read: {cause_of(error)}"
            raise HostFailure(Reason.NOT_CONFIGURED, why) from None
        self._known_hosts, self._checked_at = known, now
        return known

    def _read_if_changed(self, file: Path) -> tuple[asyncssh.SSHKnownHosts, tuple[int, int, int]]:
        status = file.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if self._known_hosts is not None and stamp == self._stamp:
            return self._known_hosts, stamp
        return asyncssh.read_known_hosts(str(file)), stamp


def _keys(where: str, lines: Sequence[str]) -> tuple[asyncssh.SSHKey, ...]:
    try:
        return tuple(asyncssh.import_public_key(line) for line in lines)
    except asyncssh.KeyImportError:
        raise SettingsError(f"{where}: expected public keys such as 'ssh-ed25519 AAAA…'") from None
