"""The params of items of the type ``ssh`` (contract section 3)."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from attrs import field, frozen

from candy_core import Meta, Mismatch, Secret
from candy_kit_command import CommandParams
from candy_ssh.host import Host

MAX_HOSTS = 1000

UserName: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_.@\\-]{0,127}$")]
"""No options and no separators, but names as user directories have them: ``user@realm``, ``DOMAIN\\user``."""


@frozen(kw_only=True)
class SshParams(CommandParams):
    """The command, where it runs, and as which user.

    Either ``host`` or ``hosts`` is required. The login is either ``credential``, a name in the agent's configuration,
    or ``username`` with ``password`` or with ``private_key`` (and its ``passphrase``).
    """

    host: Host | None = None
    hosts: Annotated[tuple[Host, ...], Meta(max_length=MAX_HOSTS)] = ()
    port: Annotated[int, Meta(ge=1, le=65535)] = 22
    username: UserName | None = None
    credential: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    password: Secret | None = field(default=None, repr=False)
    private_key: Secret | None = field(default=None, repr=False)
    passphrase: Secret | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if (self.host is None) == (not self.hosts):
            raise Mismatch("expected either host or hosts")
        if len(set(self.hosts)) != len(self.hosts):
            raise Mismatch("expected no duplicate hosts")
        if self.credential is not None and (self.password or self.private_key):
            raise Mismatch("expected either credential, or password or private_key")
        if self.password is not None and self.private_key is not None:
            raise Mismatch("expected either password or private_key")
        if self.password is not None and "\0" in self.password.reveal():
            raise Mismatch("expected password without NUL")
        if self.passphrase is not None and self.private_key is None:
            raise Mismatch("expected passphrase only with private_key")

    @property
    def targets(self) -> tuple[Host, ...]:
        """The hosts, in the caller's order."""
        return self.hosts if self.host is None else (self.host,)
