"""Which keys a host may show. Without an answer to that nothing is connected (contract section 3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs
from attrs import define, frozen

from candy_core import Reason, SettingsError
from candy_ssh.failures import Unable, reason_of
from candy_ssh.host import Host
from candy_ssh.settings import SshSettings

FRESH_SECONDS = 5.0
"""How long the file counts as it was read."""


@frozen(kw_only=True)
class Trusted:
    """The keys of one host, those of authorities that may vouch for it, and those that count for nothing any more."""

    keys: tuple[asyncssh.SSHKey, ...]
    authorities: tuple[asyncssh.SSHKey, ...]
    revoked: tuple[asyncssh.SSHKey, ...]

    @property
    def identity(self) -> tuple[tuple[bytes, ...], ...]:
        """Equal for equal keys: a connection is for those who trust what its maker trusted."""
        return tuple(
            tuple(sorted(key.public_data for key in keys)) for keys in (self.keys, self.authorities, self.revoked)
        )

    def algorithms(self) -> list[str]:
        """Kinds of keys in the order in which they are asked for: those that are known first.

        The others are there so that a server without a known one shows what it has, and is told apart from one that
        is out of reach.
        """
        known = [each for key in self.keys for each in key.sig_algorithms]
        usual = [*get_default_public_key_algs()]
        certificates = [*get_default_certificate_algs()] if self.authorities else []
        names = dict.fromkeys([*certificates, *known, *usual])
        return [name.decode("ascii") for name in names]

    def for_asyncssh(self) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        """As its option ``known_hosts`` takes them. Never empty as a whole, which would mean other files."""
        return list(self.keys), list(self.authorities), list(self.revoked)


@define
class HostKeys:
    """The known_hosts file, the pinned keys and the authorities of the settings."""

    _file: Path | None
    _pinned: Mapping[str, tuple[asyncssh.SSHKey, ...]]
    _authorities: tuple[asyncssh.SSHKey, ...]
    _read: asyncssh.SSHKnownHosts | None = None
    _stamp: tuple[int, int, int] | None = None
    _looked_at: float | None = None

    @classmethod
    def of(cls, settings: SshSettings) -> HostKeys:
        """Raises :class:`SettingsError` for keys that cannot be read; the file is looked at when it is needed."""
        pinned = {host.lower(): _keys(f"host_keys: {host}", lines) for host, lines in settings.host_keys.items()}
        return cls(settings.known_hosts, pinned, _keys("host_ca", settings.host_ca))

    async def trusted(self, host: Host, port: int) -> Trusted:
        """What ``host`` may show.

        Raises :class:`Unable`: ``not_configured`` where nothing says how keys are checked, ``host_key_mismatch`` where
        no key is known for this host.
        """
        pinned = self._pinned.get(f"[{host}]:{port}", self._pinned.get(host, ()))
        keys, authorities = pinned, self._authorities
        revoked: tuple[asyncssh.SSHKey, ...] = ()
        if not pinned and self._file is not None:
            known = await self._known(self._file)
            # The address that a name leads to is nobody's business here: the name's own key is asked for.
            found = known.match(host, "", None if port == 22 else port)
            keys, authorities, revoked = tuple(found[0]), (*found[1], *authorities), tuple(found[2])
        elif not pinned and not self._authorities:
            raise Unable(Reason.NOT_CONFIGURED, "CANDY_SSH_KNOWN_HOSTS")
        if not keys and not authorities:
            where = "" if port == 22 else f", where it stands as [{host}]:{port}"
            raise Unable(Reason.HOST_KEY_MISMATCH, f"no key of it is known{where}")
        return Trusted(keys=keys, authorities=authorities, revoked=revoked)

    async def _known(self, file: Path) -> asyncssh.SSHKnownHosts:
        now = time.monotonic()
        if self._read is not None and self._looked_at is not None and now - self._looked_at <= FRESH_SECONDS:
            return self._read
        try:
            known, self._stamp = await asyncio.to_thread(self._again, file)
        except (OSError, ValueError) as error:
            why = f"CANDY_SSH_KNOWN_HOSTS: {file} cannot be read: {reason_of(error)}"
            raise Unable(Reason.NOT_CONFIGURED, why) from None
        self._read, self._looked_at = known, now
        return known

    def _again(self, file: Path) -> tuple[asyncssh.SSHKnownHosts, tuple[int, int, int]]:
        status = file.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if self._read is not None and stamp == self._stamp:
            return self._read, stamp
        return asyncssh.read_known_hosts(str(file)), stamp


def _keys(where: str, lines: Sequence[str]) -> tuple[asyncssh.SSHKey, ...]:
    try:
        return tuple(asyncssh.import_public_key(line) for line in lines)
    except asyncssh.KeyImportError:
        raise SettingsError(f"{where}: expected public keys such as 'ssh-ed25519 AAAA…'") from None
