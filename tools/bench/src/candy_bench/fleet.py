"""Many hosts on one machine: an sshd on an address of its own for each."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen

from candy_testbed import Account, Sshd, ssh_keygen

HOSTS = 24
TEMPLATE = "uptime"
COMMAND = "cat /proc/uptime"
"""What the template runs."""
_CREDENTIAL = "bench"


@frozen(kw_only=True)
class Fleet:
    """The hosts, and their credentials. ``aliases`` are their names in ``ssh_config``."""

    hosts: Sequence[str]
    ports: Sequence[int]
    aliases: Sequence[str]
    user: str
    key: Path
    ssh_config: Path
    known_hosts: Path
    command: str = COMMAND

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment of an agent that can log in; ``settings`` are further settings of the plugin."""
        credential = {"username": self.user, "private_key_file": str(self.key)}
        return {
            "CANDY_SSH_ALLOWED_HOSTS": "127.0.0.0/8",
            "CANDY_SSH_KNOWN_HOSTS": str(self.known_hosts),
            "CANDY_SSH_CREDENTIALS": orjson.dumps({_CREDENTIAL: credential}).decode(),
            **{f"CANDY_SSH_{name.upper()}": value for name, value in settings.items()},
        }

    def items(self) -> list[dict[str, Any]]:
        """The command on each host, an item each."""
        return [
            {
                "id": number,
                "type": "ssh",
                "params": {"host": host, "port": port, "credential": _CREDENTIAL, "template": TEMPLATE},
            }
            for number, (host, port) in enumerate(zip(self.hosts, self.ports, strict=True))
        ]


@asynccontextmanager
async def fleet() -> AsyncIterator[Fleet]:
    """:data:`HOSTS` hosts. Raises ``MissingServer``.

    As root, commands run as a separate user with a plain shell; otherwise as the current user, and each command
    includes the time of that user's start-up files (easily 200 ms).
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="candy-bench-")))
        key = ssh_keygen(folder / "login")
        accounts = (Account(name="candybench", uid=64321),) if os.geteuid() == 0 else ()
        user = accounts[0].name if accounts else getpass.getuser()
        hosts = {f"bench{number}": f"127.0.77.{number}" for number in range(1, HOSTS + 1)}
        public = key.with_name("login.pub").read_text()
        servers = [
            await stack.enter_async_context(Sshd(authorized=[public], addresses=[host], accounts=accounts))
            for host in hosts.values()
        ]
        known = folder / "known_hosts"
        known.write_text("".join(server.known_hosts() for server in servers))
        config = folder / "ssh_config"
        ports = {alias: server.port for alias, server in zip(hosts, servers, strict=True)}
        config.write_text(
            "".join(_block(alias, host, ports[alias]) for alias, host in hosts.items()) + _rest(user, key, known)
        )
        yield Fleet(
            hosts=list(hosts.values()),
            ports=list(ports.values()),
            aliases=list(hosts),
            user=user,
            key=key,
            ssh_config=config,
            known_hosts=known,
        )


def _block(alias: str, host: str, port: int) -> str:
    return f"Host {alias}\n    HostName {host}\n    Port {port}\n"


def _rest(user: str, key: Path, known: Path) -> str:
    options: Mapping[str, object] = {
        "User": user,
        "IdentityFile": key,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": known,
        "StrictHostKeyChecking": "yes",
        "ControlMaster": "no",
        "PreferredAuthentications": "publickey",
    }
    return "Host *\n" + "".join(f"    {name} {value}\n" for name, value in options.items())
