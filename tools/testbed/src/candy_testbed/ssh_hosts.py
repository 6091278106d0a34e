"""Hosts to log in to: one, 200 of them, and one of each bad kind."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import frozen

from candy_testbed.server import NotReady
from candy_testbed.sshd import Account, Sshd, ssh_keygen

USER = f"candytest-{os.getpid()}"
"""A user without rights, where root starts the servers: this process's own, whoever else runs tests here."""
_UID = 60000 + os.getpid() % 1000
PASSWORD = "pass-word-1234"
"""That user's, and root's."""
_PER_SERVER = 16
"""Addresses on which one sshd can listen."""
_ATTEMPTS = 4


def accounts() -> tuple[Account, ...]:
    """Root and :data:`USER`, with a password, where whoever asks may arrange that."""
    if os.geteuid() != 0:
        return ()
    asked = ["openssl", "passwd", "-6", PASSWORD]
    hashed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    return (
        Account(name=USER, uid=_UID, password_hash=hashed),
        Account(name="root", uid=0, password_hash=hashed),
    )


@frozen(kw_only=True)
class Hosts:
    """Hosts that listen on one port, each on an address of its own, and how to log in."""

    good: Sequence[str]
    bad: Mapping[str, str]
    """Addresses by what is wrong with them, see :func:`bad_hosts`."""
    port: int
    user: str
    key: Path
    known_hosts: str
    """The text of the file."""


@contextmanager
def hosts(folder: Path, *, count: int = 200) -> Iterator[Hosts]:
    """As many good hosts, and one of each bad kind. ``folder`` takes keys. Raises ``MissingServer``."""
    key = folder / "login"
    if not key.exists():
        ssh_keygen(key)
    authorized = [key.with_name("login.pub").read_text()]
    good = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(count)]
    for attempt in range(_ATTEMPTS):
        with ExitStack() as stack:
            # One that listens everywhere would leave no address for the bad ones.
            try:
                servers = _listening(stack, good, authorized)
                port = servers[0].port
                bad, known = stack.enter_context(bad_hosts(folder, port, authorized))
            except (NotReady, OSError):  # another process has taken the port on one of the addresses
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            yield Hosts(
                good=good,
                bad=bad,
                port=port,
                user=getpass.getuser(),
                key=key,
                known_hosts="".join([*(server.known_hosts() for server in servers), known]),
            )
            return


def _listening(stack: ExitStack, addresses: Sequence[str], authorized: Sequence[str]) -> list[Sshd]:
    servers: list[Sshd] = []
    for start in range(0, len(addresses), _PER_SERVER):
        server = Sshd(
            authorized=authorized,
            accounts=_light(),
            addresses=addresses[start : start + _PER_SERVER],
            port=servers[0].port if servers else None,
        )
        servers.append(stack.enter_context(server))
    return servers


def _light() -> Sequence[Account]:
    """Whoever runs this, with a shell that starts at once: only root can have it so."""
    return [Account(name="root", uid=0)] if os.geteuid() == 0 else []


@contextmanager
def bad_hosts(folder: Path, port: int, authorized: Sequence[str]) -> Iterator[tuple[Mapping[str, str], str]]:
    """One host of each kind on ``port``: their addresses by kind, and their lines of a known_hosts file.

    ``refuses``: nothing listens. ``never accepts``: its backlog is full. ``says nothing``: it accepts, and that is all.
    ``changed key``: another one is known. ``no room``: its sshd refuses every connection, as MaxStartups has it.
    ``wrong login``: it accepts no user. ``never ends``: the environment there has ``STALL=600``, and a command of
    ``sleep "${STALL:-0}"`` takes that long. ``disk full``, where root asks: nothing can be written.
    """
    names = ["refuses", "never accepts", "says nothing", "changed key", "no room", "wrong login", "never ends"]
    if os.geteuid() == 0:
        names.append("disk full")
    at = {name: f"127.2.0.{last}" for last, name in enumerate(names, 1)}
    with ExitStack() as stack:

        def sshd(name: str, *options: str, authorized: Sequence[str] = authorized, disk_full: bool = False) -> Sshd:
            server = Sshd(
                authorized=authorized,
                accounts=_light(),
                addresses=[at[name]],
                options=options,
                port=port,
                disk_full=disk_full,
            )
            return stack.enter_context(server)

        stack.enter_context(_full_backlog(at["never accepts"], port))
        stack.enter_context(_listens(at["says nothing"], port))
        servers = [
            sshd("no room", "MaxStartups 1:100:1", "LoginGraceTime 0"),
            sshd("wrong login", authorized=()),
            sshd("never ends", "SetEnv STALL=600"),
        ]
        if "disk full" in at:
            servers.append(sshd("disk full", disk_full=True))
        sshd("changed key")
        stack.enter_context(_only_place(at["no room"], port))
        other = ssh_keygen(folder / "other") if not (folder / "other").exists() else folder / "other"
        text = " ".join(other.with_name("other.pub").read_text().split()[:2])
        lines = [f"[{at[name]}]:{port} {text}\n" for name in ("refuses", "never accepts", "says nothing")]
        lines += [f"[{at['changed key']}]:{port} {text}\n", *(server.known_hosts() for server in servers)]
        yield at, "".join(lines)


@contextmanager
def _listens(address: str, port: int, backlog: int = 1000) -> Iterator[socket.socket]:
    """The kernel accepts; no process ever reads or writes."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(backlog)
        yield listener


@contextmanager
def _full_backlog(address: str, port: int) -> Iterator[None]:
    """Packets that ask for a connection are dropped, as behind a firewall."""
    with _listens(address, port, 0), ExitStack() as stack:
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(1)
            try:
                waiting.connect((address, port))
            except TimeoutError:
                break
        yield


@contextmanager
def _only_place(address: str, port: int) -> Iterator[None]:
    """Occupy the only unauthenticated connection that a server with MaxStartups 1 allows."""
    while True:
        with contextlib.closing(socket.create_connection((address, port))) as connection:
            if connection.recv(4) == b"SSH-":
                yield
                return
