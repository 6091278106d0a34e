"""The plugin's settings: ``plugins.ssh`` in the file, ``CANDY_SSH_…`` in the environment. Times are in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from attrs import Factory, field, frozen

from candy_core import Meta, Mismatch, Secret
from candy_kit_command import CommandSettings
from candy_ssh.host import Host, HostPattern
from candy_ssh.params import UserName

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Port = Annotated[int, Meta(ge=1, le=65535)]


@frozen(kw_only=True)
class Credential:
    """A login with a name that items may use: a password, or a private key, which may have a certificate.

    ``hosts`` limits the hosts that it may be used for; by default all allowed hosts.
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
            raise Mismatch("expected passphrase and certificate only with a private key")


@frozen(kw_only=True)
class JumpHost:
    """A host through which the hosts that match ``for_hosts`` are reached. Its host key is checked like any other.

    ``credential`` is a name in the settings. ``via`` is the name of the jump host through which this one is reached.
    """

    host: Host
    port: Port = 22
    credential: str
    for_hosts: tuple[HostPattern, ...] = ()
    via: str | None = None


@frozen(kw_only=True)
class SshSettings(CommandSettings):
    """All settings have defaults, which allow nothing."""

    allowed_hosts: tuple[HostPattern, ...] = ()
    """Hosts that items may name: names, globs and CIDRs."""
    known_hosts: Path | None = None
    """A file in ssh(1)'s format, including ``@cert-authority`` and ``@revoked`` lines; read again when it changes."""
    host_keys: Mapping[str, tuple[str, ...]] = Factory(dict)
    """Public keys (``ssh-ed25519 AAAA…``) by host or ``[host]:port``. These hosts are not looked up in the file."""
    host_ca: tuple[str, ...] = ()
    """Public keys of certificate authorities that are trusted for every host."""
    username: UserName | None = None
    """The default where neither the item nor its credential has one."""
    credentials: Mapping[str, Credential] = field(factory=dict, repr=False)
    jump_hosts: Mapping[str, JumpHost] = Factory(dict)
    connect_timeout: Seconds = 10.0
    """For connecting and logging in, including a second attempt if the server is busy."""
    max_connections: Annotated[int, Meta(ge=1, le=10_000)] = 256
    """Open at the same time; unused ones are closed when others need to be opened."""
    runs_per_connection: Annotated[int, Meta(ge=1, le=100)] = 4
    """Concurrent commands over one connection. Each takes up to two sessions; sshd's default of MaxSessions is 10."""
    idle_time: Annotated[float, Meta(ge=0, le=86400)] = 60.0
    """How long an unused connection is kept open."""
    keepalive: Annotated[float, Meta(ge=0, le=3600)] = 15.0
    """The interval of keepalive messages; 0: none."""
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 32
    """The hosts of one item that run at the same time."""

    def __attrs_post_init__(self) -> None:
        for name, jump in self.jump_hosts.items():
            if jump.credential not in self.credentials:
                raise Mismatch("expected jump_hosts to use credentials of the same section")
            seen = {name}
            while jump.via is not None:
                if jump.via in seen or jump.via not in self.jump_hosts:
                    raise Mismatch("expected via of jump_hosts to name another of them, without a cycle")
                seen.add(jump.via)
                jump = self.jump_hosts[jump.via]
