"""From what is configured to a connection: an address, TLS, and the header that lets the agent in."""

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
from candy_kit_kube.json_values import members, text
from candy_kit_kube.kubeconfig import Kubeconfig, Unusable, read_kubeconfig
from candy_kit_kube.library import pod_account, user_authorization
from candy_kit_kube.settings import ClusterSettings, Surroundings
from candy_kit_kube.tls import tls_context

Trusted: TypeAlias = Callable[[], ssl.SSLContext]
Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Of each file that a configuration was read from: inode, size and time of change; ``None`` for one that is missing."""


@frozen(kw_only=True, eq=False)
class Connection:
    """How a cluster is reached now. ``authorization`` is the header's value, empty where a certificate does.

    ``seconds`` is how long the credential holds, ``None`` where nobody said.
    """

    base: str
    """Scheme, host and port, a path where the API server has one, without a slash at the end."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    authorization: str = field(default="", repr=False)
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    files: tuple[Path, ...] = ()
    stamp: Stamp = field(default=(), repr=False)
    seconds: float | None = None
    renewable: bool = False
    """Whether reading again may give another credential with the same files: somebody is asked for it."""

    @property
    def host(self) -> str:
        """Name and port, as messages show it."""
        return urlsplit(self.base).netloc


def stamp_of(files: tuple[Path, ...]) -> Stamp:
    """What tells whether these files have changed. Looks at the disk."""

    def one(path: Path) -> tuple[int, int, int] | None:
        try:
            found = path.stat()  # through links: Kubernetes swaps one when it rotates a token
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    return tuple(one(path) for path in files)


async def find_connection(settings: ClusterSettings, surroundings: Surroundings, trusted: Trusted) -> Connection:
    """Find the cluster that the configuration means (contract section 7), as things are now.

    Connects to nothing, but a credential plugin of the kubeconfig is run. Raises :class:`Unusable`.
    """
    paths = await asyncio.to_thread(_kubeconfigs, settings, surroundings)
    if not paths:
        return await asyncio.to_thread(_of_the_pod, surroundings, trusted)
    return await _of_kubeconfig(paths, settings, surroundings, trusted)


def _kubeconfigs(settings: ClusterSettings, surroundings: Surroundings) -> tuple[Path, ...]:
    """The files to read; none where the pod's account is to be used. What is named explicitly is never passed over."""
    if settings.kubeconfig is not None:
        return (settings.kubeconfig.expanduser(),)
    if named := surroundings.environ.get("KUBECONFIG", ""):
        return tuple(Path(name).expanduser() for name in named.split(":") if name)
    own = surroundings.home / ".kube" / "config"
    in_pod = "KUBERNETES_SERVICE_HOST" in surroundings.environ
    return (own,) if own.exists() or (settings.context is not None and not in_pod) else ()


async def _of_kubeconfig(
    paths: tuple[Path, ...], settings: ClusterSettings, surroundings: Surroundings, trusted: Trusted
) -> Connection:
    config = await asyncio.to_thread(read_kubeconfig, paths, settings.context)
    files = (*paths, *config.files())
    # Looked at before they are read: what changes in between is seen the next time.
    stamp = await asyncio.to_thread(stamp_of, files)
    base = _address(text(config.cluster.get("server")))
    user, seconds = dict(config.user), None
    asked = members(user.pop("exec", None))
    if asked:
        credential = await run_credential_plugin(asked, config.folder, surroundings.environ, _cluster_info(config))
        seconds = seconds_until(credential.expires)
        user = {"token": credential.token} if credential.token else {}
        if credential.certificate and credential.key:
            user["client-certificate-data"] = _base64(credential.certificate)
            user["client-key-data"] = _base64(credential.key)
    context = await asyncio.to_thread(tls_context, config.cluster, user, trusted) if base.startswith("https:") else None
    return Connection(
        base=base,
        tls=context,
        authorization=await _authorization(user),
        server_name=text(config.cluster.get("tls-server-name")) or None,
        proxy=_proxy(text(config.cluster.get("proxy-url"))),
        files=files,
        stamp=stamp,
        seconds=seconds,
        renewable=bool(asked) or "auth-provider" in user,
    )


async def _authorization(user: Mapping[str, Json]) -> str:
    kept = ("token", "username", "password", "auth-provider")
    entry: dict[str, Json] = {key: user[key] for key in kept if user.get(key)}
    if "token" not in entry and (name := text(user.get("tokenFile"))):
        entry["token"] = await asyncio.to_thread(_line, Path(name))
    return _printable(await user_authorization(entry)) if entry else ""


def _of_the_pod(surroundings: Surroundings, trusted: Trusted) -> Connection:
    """The service account that Kubernetes gives to a pod."""
    if not surroundings.environ.get("KUBERNETES_SERVICE_HOST"):
        raise Unusable(
            "no Kubernetes cluster is configured: set KUBECONFIG, put a kubeconfig at ~/.kube/config, "
            "or run the agent in a pod with a service account"
        )
    files = surroundings.service_account / "token", surroundings.service_account / "ca.crt"
    stamp = stamp_of(files)
    host, authorization = pod_account(surroundings.environ, *files)
    return Connection(
        base=_address(host),
        tls=tls_context({"certificate-authority": str(files[1])}, {}, trusted),
        authorization=_printable(authorization.strip()),
        files=files,
        stamp=stamp,
    )


def _address(server: str) -> str:
    """The address without a slash at its end. It is not repeated in an error: it may hold a password."""
    written = server.strip().rstrip("/")
    try:
        parts = urlsplit(written)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or not written.isprintable():
        raise Unusable("expected the cluster's server to be an address such as https://10.0.0.1:6443, without a user")
    return written


def _proxy(written: str) -> str | None:
    """A proxy's address; as in :func:`_address`, it is not repeated."""
    if written and urlsplit(written).scheme not in ("http", "https"):
        raise Unusable("expected the cluster's proxy-url to be an http or https address")
    return written or None


def _cluster_info(config: Kubeconfig) -> Mapping[str, Json]:
    """What a credential plugin is told of the cluster, where it asks for it."""
    kept = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
    return {key: config.cluster[key] for key in kept if key in config.cluster}


def _base64(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


def _line(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, ValueError):
        raise Unusable(f"{file}, the tokenFile of the kubeconfig, cannot be read") from None


def _printable(authorization: str) -> str:
    """The value, if it is fit for a header: a line end in it would begin another one."""
    if not authorization.isprintable() or not authorization.isascii():
        raise Unusable("the credential for the Kubernetes cluster is not one line of ASCII")
    return authorization
