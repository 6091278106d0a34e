"""The plugin's settings: ``plugins.ssh`` in the file, ``CANDY_SSH_…`` in the environment. Times are in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from attrs import Factory, field, frozen
from msgspec import Meta

from candy_core import Mismatch, Secret
from candy_kit_command import CommandSettings
from candy_ssh.host import Host, HostPattern
from candy_ssh.params import UserName

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Port = Annotated[int, Meta(ge=1, le=65535)]


@frozen(kw_only=True)
class Credential:
    """Who logs in, by a name that items may use. A password, or a private key with, perhaps, a certificate of it.

    ``hosts`` narrows the hosts that it is for; every one that items may name by default.
    """

    username: UserName | None = None
    password: Secret | None = field(default=None, repr=False)
    private_key: Secret | None = field(default=None, repr=False)
    private_key_file: Path | None = None
    passphrase: Secret | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    """The certificate itself, or the path of its file."""
    hosts: tuple[HostPattern, ...] = (HostPattern("*"),)

    def __attrs_post_init__(self) -> None:
        if sum(value is not None for value in (self.password, self.private_key, self.private_key_file)) != 1:
            raise Mismatch("expected one of password, private_key and private_key_file")
        if self.password is not None and (self.passphrase is not None or self.certificate is not None):
            raise Mismatch("expected passphrase and certificate beside a private key only")


@frozen(kw_only=True)
class JumpHost:
    """A host through which others are reached: those that match ``for_hosts``. Its key is checked like any other.

    ``credential`` is one of the settings' own. ``via`` names the jump host through which this one is reached.
    """

    host: Host
    port: Port = 22
    credential: str
    for_hosts: tuple[HostPattern, ...] = ()
    via: str | None = None


@frozen(kw_only=True)
class SshSettings(CommandSettings):
    """Every field has a default: without any, nothing is allowed."""

    allowed_hosts: tuple[HostPattern, ...] = ()
    """Hosts that items may name: names, globs and CIDRs."""
    known_hosts: Path | None = None
    """A file as ssh(1) has it, ``@cert-authority`` and ``@revoked`` lines included; read again when it changes."""
    host_keys: Mapping[str, tuple[str, ...]] = Factory(dict)
    """Public keys (``ssh-ed25519 AAAA…``) by host or ``[host]:port``; such a host is not looked up in the file."""
    host_ca: tuple[str, ...] = ()
    """Public keys of authorities whose certificates are good for every host."""
    username: UserName | None = None
    """Where neither the item nor its credential says one."""
    credentials: Mapping[str, Credential] = field(factory=dict, repr=False)
    jump_hosts: Mapping[str, JumpHost] = Factory(dict)
    connect_timeout: Seconds = 10.0
    """From the first packet to being logged in, a second try where the server is busy included."""
    max_connections: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """Open at one time; unused ones make room."""
    runs_per_connection: Annotated[int, Meta(ge=1, le=100)] = 4
    """Commands at one time over one connection. Each takes up to two sessions, and sshd's MaxSessions is 10."""
    idle_time: Annotated[float, Meta(ge=0, le=86400)] = 60.0
    """An unused connection is kept that long."""
    keepalive: Annotated[float, Meta(ge=0, le=3600)] = 15.0
    """Between two questions whether the other side is still there; 0: none are asked."""
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 32
    """Hosts at one time of one item."""

    def __attrs_post_init__(self) -> None:
        for name, jump in self.jump_hosts.items():
            if jump.credential not in self.credentials:
                raise Mismatch("expected jump_hosts to use credentials of the same section")
            seen = {name}
            while jump.via is not None:
                if jump.via in seen or jump.via not in self.jump_hosts:
                    raise Mismatch("expected via of jump_hosts to name another of them, and no circle")
                seen.add(jump.via)
                jump = self.jump_hosts[jump.via]
