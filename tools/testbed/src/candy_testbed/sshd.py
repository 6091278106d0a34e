"""OpenSSH's server, with accounts of its own where the caller is root."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar

from attrs import frozen

from candy_testbed.server import LOOPBACK, LoopbackServer, MissingServer


@frozen(kw_only=True)
class Account:
    """A user whom only this server knows: it sees a passwd and a shadow of its own. Needs root and unshare(1)."""

    name: str
    uid: int
    password_hash: str = "*"
    shell: str = "/bin/sh"


def ssh_keygen(path: Path, *arguments: str, passphrase: str = "", kind: str = "ed25519") -> Path:
    """Make a key pair; ``path`` gets the private half, ``path.pub`` the public one."""
    _keygen("-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path), *arguments)
    return path


def ssh_certificate(key: Path, ca: Path, *, principals: Sequence[str], host: bool = False) -> Path:
    """Sign the public half of ``key``; returns the certificate's path."""
    public = key.with_name(f"{key.name}.pub")
    kind = ("-h",) if host else ()
    _keygen("-q", "-s", str(ca), *kind, "-I", key.name, "-n", ",".join(principals), "-V", "-1h:+1d", str(public))
    return key.with_name(f"{key.name}-cert.pub")


def _keygen(*arguments: str) -> None:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise MissingServer("ssh-keygen", "openssh-client")
    subprocess.run([program, *arguments], check=True, stdin=subprocess.DEVNULL, capture_output=True)


class Sshd(LoopbackServer):
    """Debian's sshd with host keys of its own, in the foreground, on every address of ``addresses`` (16 at most).

    ``authorized`` are public keys that every user may log in with. ``options`` are further lines of its configuration
    and win over ours. ``accounts`` makes it see other users than the machine has (see :class:`Account`); without, it
    accepts the user who runs it. ``port``: this one, not a free one. ``disk_full`` (needs root): here no user can
    write a byte into a home, ``/tmp``, ``/var/tmp`` or ``/dev/shm``. ``shell``: this program is its ``/bin/sh``
    (needs root).
    """

    program: ClassVar[str] = "sshd"
    package: ClassVar[str] = "openssh-server"

    def __init__(
        self,
        *,
        authorized: Sequence[str] = (),
        options: Sequence[str] = (),
        accounts: Sequence[Account] = (),
        addresses: Sequence[str] = (LOOPBACK,),
        host_ca: Path | None = None,
        host_principals: Sequence[str] = (LOOPBACK,),
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        disk_full: bool = False,
        shell: Path | None = None,
    ) -> None:
        super().__init__(env=env)
        self._fixed_port = port
        self._disk_full = disk_full
        self._shell = shell
        self._authorized = tuple(authorized)
        self._options = tuple(options)
        self._accounts = tuple(accounts)
        self._addresses = tuple(addresses)
        self._host_ca = host_ca
        self._host_principals = tuple(host_principals)

    def pick_port(self) -> int:
        """The one that it was made with, if any."""
        return self._fixed_port or super().pick_port()

    @property
    def host_key(self) -> str:
        """The public host key, as ``type base64``."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    def known_hosts(self, *names: str) -> str:
        """Lines of a known_hosts file for these names, by default for its addresses."""
        return "".join(f"[{name}]:{self.port} {self.host_key}\n" for name in names or self._addresses)

    def command(self) -> Sequence[str]:
        """Writes keys and configuration."""
        self.folder.chmod(0o755)
        key = self.folder / "host_key"
        if not key.exists():
            ssh_keygen(key)
        authorized = self.folder / "authorized_keys"
        authorized.write_text("".join(f"{line.strip()}\n" for line in self._authorized))
        lines = [*self._options, *(f"ListenAddress {address}:{self.port}" for address in self._addresses)]
        lines.append(f"HostKey {key}")
        if self._host_ca is not None:
            lines.append(
                f"HostCertificate {ssh_certificate(key, self._host_ca, principals=self._host_principals, host=True)}"
            )
        lines += [
            f"AuthorizedKeysFile {authorized}",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "PermitRootLogin yes",
            "KbdInteractiveAuthentication no",
            "PrintMotd no",
            "UseDNS no",
        ]
        if not any(line.startswith("MaxStartups") for line in lines):  # of these sshd takes the last
            lines.append("MaxStartups 1000")
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")
        return ["-D", "-e", "-f", str(self.folder / "sshd_config")]

    def ready(self) -> bool:
        """Whether it sends its banner on the last of its addresses."""
        try:
            with socket.create_connection((self._addresses[-1], self.port), timeout=10) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _spawn(self, command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        if os.geteuid() != 0:
            return super()._spawn(command, log)
        unshare = shutil.which("unshare")
        if unshare is None:
            raise MissingServer("unshare", "util-linux")
        return super()._spawn([unshare, "--mount", "sh", "-c", self._set_up(command)], log)

    def _set_up(self, command: Sequence[str]) -> str:
        """What root does before sshd starts, in a mount namespace that ends with it: nothing of it is seen outside."""
        steps = ["set -e", "mkdir -p run", "mount --bind run /run", "mkdir -p -m 0755 /run/sshd"]
        if self._shell is not None:
            steps.append(f"mount --bind {shlex.quote(str(self._shell))} /bin/sh")
        home = self.folder
        if self._disk_full:
            home = self.folder / "home"
            home.mkdir(exist_ok=True)
            steps += self._fill_disks(home)
        if self._accounts:
            # All of /etc: a mount on /etc/passwd alone is lost as soon as anybody outside puts a new file there, as the
            # installation of a package with a user of its own does.
            etc = shlex.quote(str(self.folder / "etc"))
            steps += [f"mkdir -p {etc}", f"cp -a /etc/. {etc}"]
            for file, line in (("passwd", _passwd), ("shadow", _shadow)):
                own = self.folder / file
                names = {account.name for account in self._accounts}
                kept = [each for each in _read(f"/etc/{file}") if each.partition(":")[0] not in names]
                own.write_text("\n".join([*(line(account, home) for account in self._accounts), *kept]) + "\n")
                own.chmod(0o644 if file == "passwd" else 0o600)
                steps.append(f"mv {shlex.quote(str(own))} {etc}/{file}")
            steps.append(f"mount --bind {etc} /etc")
        return "; ".join([*steps, f"exec {shlex.join(command)}"])

    def _fill_disks(self, home: Path) -> list[str]:
        own = shlex.quote(str(self.folder))
        steps = ["mkdir -p /run/kept", f"mount --bind {own} /run/kept"]
        full = ["/tmp", "/var/tmp", "/dev/shm", shlex.quote(str(home))]
        for folder in full:
            if folder == full[-1]:  # the server's own folder is in one of these, perhaps, and stays what it is
                steps += [f"mkdir -p {own}", f"mount --bind /run/kept {own}"]
            steps.append(f"mount -t tmpfs -o size=4k,mode=1777 full {folder}")
        steps += [f"! cat /dev/zero 2>/dev/null >{folder}/full" for folder in full]
        return [*steps, f"cd {own}"]


def _read(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _passwd(account: Account, folder: Path) -> str:
    return f"{account.name}:x:{account.uid}:{account.uid}::{folder}:{account.shell}"


def _shadow(account: Account, folder: Path) -> str:
    return f"{account.name}:{account.password_hash}:19000:0:99999:7:::"
