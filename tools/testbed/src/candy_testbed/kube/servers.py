"""The processes of a cluster, each on a free port of loopback."""

from __future__ import annotations

import random
import re
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from candy_testbed.kube import programs
from candy_testbed.server import LOOPBACK, LoopbackServer, answers, free_port
from candy_testbed.sshd import ssh_keygen

ADMIN_TOKEN = "candy-testbed-admin"
"""The bearer token of ``system:masters``, valid only for a test cluster on loopback."""
SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc"


def non_ephemeral_port() -> int:
    """A free port outside the ephemeral range, so that no other process gets it while its server is down."""
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        lowest = 32768
    for port in random.SystemRandom().choices(range(min(10000, lowest - 1), lowest), k=100):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    return free_port()


class KubeProgram(LoopbackServer):
    """A program of Kubernetes; :mod:`candy_testbed.kube.programs` finds it, not the search path."""

    package: ClassVar[str] = ""
    start_timeout: ClassVar[float] = 300.0
    stop_timeout: ClassVar[float] = 3.0
    """Short, since at a stop it would only wait for clients' watches."""

    def executable(self) -> str:
        """See :mod:`candy_testbed.kube.programs`."""
        return programs.find(self.program)

    def pick_port(self) -> int:
        """A port that is still free when the process is restarted."""
        return non_ephemeral_port()


class Etcd(KubeProgram):
    """The cluster's store; its data are deleted when the context ends."""

    program: ClassVar[str] = "etcd"

    def command(self) -> Sequence[str]:
        """Without fsync: these data need not survive a power failure."""
        return [
            f"--data-dir={self.folder / 'data'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls=http://{LOOPBACK}:0",
            "--unsafe-no-fsync",
            "--logger=zap",
        ]

    def ready(self) -> bool:
        """Whether its health endpoint answers with a 2xx."""
        return answers(f"{self.url}/health")


class KubeApiServer(KubeProgram):
    """kube-apiserver with RBAC, over TLS, and with one token that has every right.

    It creates a self-signed certificate, which is also the CA. ``arguments`` are added to the command line.
    """

    program: ClassVar[str] = "kube-apiserver"

    def __init__(self, etcd: Etcd, *, arguments: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        super().__init__(env=env)
        self._etcd = etcd
        self._arguments = tuple(arguments)

    @property
    def url(self) -> str:
        """The base URL: https."""
        return f"https://{self.address}"

    @property
    def ca_file(self) -> Path:
        """The certificate that clients have to trust."""
        return self.folder / "apiserver.crt"

    @property
    def service_account_key(self) -> Path:
        """The private key that signs the tokens of service accounts."""
        return self.folder / "service-accounts.key"

    def command(self) -> Sequence[str]:
        """Writes keys and tokens at the first start; a restart keeps them."""
        if not self.service_account_key.exists():
            ssh_keygen(self.service_account_key, "-b", "2048", "-m", "PEM", kind="rsa")
        tokens = self.folder / "tokens.csv"
        tokens.write_text(f'{ADMIN_TOKEN},admin,admin,"system:masters"\n')
        tokens.chmod(0o600)
        return [
            f"--etcd-servers={self._etcd.url}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self.port}",
            f"--advertise-address={LOOPBACK}",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--cert-dir={self.folder}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            # It would require a token for each pod, which only the controller manager makes.
            "--disable-admission-plugins=ServiceAccount",
            f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
            f"--service-account-key-file={self.service_account_key}",
            f"--service-account-signing-key-file={self.service_account_key}",
            *self._arguments,
        ]

    def ready(self) -> bool:
        """Whether its health endpoint answers with a 2xx."""
        return _answers_over_tls(f"{self.url}/readyz", self.ca_file)


class KubeControllerManager(KubeProgram):
    """kube-controller-manager: Deployments create pods (that stay Pending), namespaces are finalized."""

    program: ClassVar[str] = "kube-controller-manager"

    def __init__(self, kubeconfig: Path, service_account_key: Path) -> None:
        super().__init__()
        self._kubeconfig = kubeconfig
        self._key = service_account_key

    def command(self) -> Sequence[str]:
        """Without leader election: there is only one."""
        output = subprocess.run([self.executable(), "--version"], capture_output=True, text=True, check=True).stdout
        minor = re.search(r"v1\.(\d+)", output)
        # Up to 1.23 it has a second port, without TLS, whose number is fixed.
        insecure = ["--port=0"] if minor and int(minor[1]) < 24 else []
        return [
            *insecure,
            f"--kubeconfig={self._kubeconfig}",
            "--authentication-skip-lookup",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder}",
            "--leader-elect=false",
            f"--service-account-private-key-file={self._key}",
        ]

    def ready(self) -> bool:
        """Whether its health endpoint answers with a 2xx."""
        return _answers_over_tls(f"https://{self.address}/healthz", self.folder / "kube-controller-manager.crt")


def _answers_over_tls(url: str, certificate: Path) -> bool:
    """Whether a GET of ``url`` gives 200; False for a server with another certificate."""
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        context.check_hostname = False  # the controller manager's certificate only has the host's name
        tls = urllib.request.HTTPSHandler(context=context)
        with urllib.request.build_opener(urllib.request.ProxyHandler({}), tls).open(url, timeout=10) as answer:
            status: int = answer.status
            return status == 200
    except OSError:
        return False
