"""Builds a connection from the configuration: the address, TLS and the ``Authorization`` header."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from attrs import field, frozen

from candy_core import Json
from candy_kit_kube.exec_credential import run_credential_plugin, seconds_until
from candy_kit_kube.json_values import as_object, as_text
from candy_kit_kube.kubeconfig import Kubeconfig, UnusableConfig, read_kubeconfig
from candy_kit_kube.kubernetes_package import pod_account, user_authorization
from candy_kit_kube.settings import ClusterSettings, Environment
from candy_kit_kube.tls import tls_context

DefaultTls: TypeAlias = Callable[[], ssl.SSLContext]
"""Makes a TLS context that trusts the system's certificates."""
Fingerprint: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Inode, size and modification time of each file of a configuration; ``None`` for a missing one."""


@frozen(kw_only=True, eq=False)
class Connection:
    """How to reach a cluster. ``authorization`` is the header's value, empty for a client certificate.

    ``lifetime`` is for how many seconds the credential is valid, ``None`` if that is unknown.
    """

    base: str
    """Scheme, host and port, and a path if the API server has one, without a trailing slash."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    authorization: str = field(default="", repr=False)
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    files: tuple[Path, ...] = ()
    fingerprint: Fingerprint = field(default=(), repr=False)
    lifetime: float | None = None
    renewable: bool = False
    """Whether a program or an identity provider can issue a new credential although no file has changed."""

    @property
    def host(self) -> str:
        """Name and port, for messages."""
        return urlsplit(self.base).netloc


def fingerprint_of(files: tuple[Path, ...]) -> Fingerprint:
    """A value that changes when one of these files changes. Reads the file system."""

    def one(path: Path) -> tuple[int, int, int] | None:
        try:
            found = path.stat()  # follows links: Kubernetes replaces one when it rotates a token
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    return tuple(one(path) for path in files)


async def find_connection(settings: ClusterSettings, environment: Environment, default_tls: DefaultTls) -> Connection:
    """Find the configured cluster (contract section 7), from the files as they are now.

    Does not connect to it, but runs the kubeconfig's credential plugin. Raises :class:`UnusableConfig`.
    """
    paths = await asyncio.to_thread(_kubeconfig_paths, settings, environment)
    if not paths:
        return await asyncio.to_thread(_from_service_account, environment, default_tls)
    return await _from_kubeconfig(paths, settings, environment, default_tls)


def _kubeconfig_paths(settings: ClusterSettings, environment: Environment) -> tuple[Path, ...]:
    """The files to read; none if the pod's account is to be used. A file named explicitly is always read."""
    if settings.kubeconfig is not None:
        return (settings.kubeconfig.expanduser(),)
    if named := environment.environ.get("KUBECONFIG", ""):
        return tuple(Path(name).expanduser() for name in named.split(":") if name)
    own = environment.home / ".kube" / "config"
    in_pod = "KUBERNETES_SERVICE_HOST" in environment.environ
    return (own,) if own.exists() or (settings.context is not None and not in_pod) else ()


async def _from_kubeconfig(
    paths: tuple[Path, ...], settings: ClusterSettings, environment: Environment, default_tls: DefaultTls
) -> Connection:
    config = await asyncio.to_thread(read_kubeconfig, paths, settings.context)
    files = (*paths, *config.files())
    # Taken before the files are read, so that a change in between is seen at the next check.
    fingerprint = await asyncio.to_thread(fingerprint_of, files)
    base = _address(as_text(config.cluster.get("server")))
    user, lifetime = dict(config.user), None
    plugin = as_object(user.pop("exec", None))
    if plugin:
        credential = await run_credential_plugin(plugin, config.folder, environment.environ, _cluster_info(config))
        lifetime = seconds_until(credential.expires)
        user = {"token": credential.token} if credential.token else {}
        if credential.certificate and credential.key:
            user["client-certificate-data"] = _base64(credential.certificate)
            user["client-key-data"] = _base64(credential.key)
    tls = None
    if base.startswith("https:"):
        tls = await asyncio.to_thread(tls_context, config.cluster, user, default_tls)
    return Connection(
        base=base,
        tls=tls,
        authorization=await _authorization(user),
        server_name=as_text(config.cluster.get("tls-server-name")) or None,
        proxy=_proxy(as_text(config.cluster.get("proxy-url"))),
        files=files,
        fingerprint=fingerprint,
        lifetime=lifetime,
        renewable=bool(plugin) or "auth-provider" in user,
    )


async def _authorization(user: Mapping[str, Json]) -> str:
    kept = ("token", "username", "password", "auth-provider")
    entry: dict[str, Json] = {key: user[key] for key in kept if user.get(key)}
    if "token" not in entry and (name := as_text(user.get("tokenFile"))):
        entry["token"] = await asyncio.to_thread(_read_token, Path(name))
    return _printable(await user_authorization(entry)) if entry else ""


def _from_service_account(environment: Environment, default_tls: DefaultTls) -> Connection:
    """A connection with the service account that Kubernetes gives to a pod."""
    if not environment.environ.get("KUBERNETES_SERVICE_HOST"):
        raise UnusableConfig(
            "no Kubernetes cluster is configured: set KUBECONFIG, put a kubeconfig at ~/.kube/config, "
            "or run the agent in a pod with a service account"
        )
    files = environment.service_account / "token", environment.service_account / "ca.crt"
    fingerprint = fingerprint_of(files)
    host, authorization = pod_account(environment.environ, *files)
    return Connection(
        base=_address(host),
        tls=tls_context({"certificate-authority": str(files[1])}, {}, default_tls),
        authorization=_printable(authorization.strip()),
        files=files,
        fingerprint=fingerprint,
    )


def _address(server: str) -> str:
    """The address without a trailing slash. An error does not repeat it: it may contain a password."""
    address = server.strip().rstrip("/")
    try:
        url = urlsplit(address)
        valid = url.scheme in ("http", "https") and url.hostname and "@" not in url.netloc and url.port != 0
    except ValueError:
        valid = False
    if not valid or url.query or url.fragment or not address.isprintable():
        raise UnusableConfig(
            "expected the cluster's server to be an address such as https://10.0.0.1:6443, without a user"
        )
    return address


def _proxy(address: str) -> str | None:
    """The proxy's address, if there is one; an error does not repeat it."""
    if address and urlsplit(address).scheme not in ("http", "https"):
        raise UnusableConfig("expected the cluster's proxy-url to be an http or https address")
    return address or None


def _cluster_info(config: Kubeconfig) -> Mapping[str, Json]:
    """The cluster information that a credential plugin can request."""
    kept = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
    return {key: config.cluster[key] for key in kept if key in config.cluster}


def _base64(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


def _read_token(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, ValueError):
        raise UnusableConfig(f"{file}, the tokenFile of the kubeconfig, cannot be read") from None


def _printable(authorization: str) -> str:
    """The value, if it is valid in a header: a line break would start another header."""
    if not authorization.isprintable() or not authorization.isascii():
        raise UnusableConfig("the credential for the Kubernetes cluster is not one line of ASCII")
    return authorization
