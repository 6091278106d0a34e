"""The TLS context for a kubeconfig's cluster and user."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from candy_core import Json
from candy_kit_kube.json_values import as_text
from candy_kit_kube.kubeconfig import UnusableConfig


def tls_context(
    cluster: Mapping[str, Json], user: Mapping[str, Json], default_tls: Callable[[], ssl.SSLContext]
) -> ssl.SSLContext:
    """A context that trusts only the certificate authority of the cluster's entry and presents the user's certificate.

    Without a certificate authority it is ``default_tls()``, which trusts the system's. Reads files. Raises
    :class:`UnusableConfig`.
    """
    authority = _pem(cluster, "certificate-authority")
    try:
        context = ssl.create_default_context(cadata=authority.decode("ascii")) if authority else default_tls()
    except (ssl.SSLError, ValueError):
        raise UnusableConfig("the certificate-authority of the kubeconfig is not a certificate in PEM") from None
    # As in Go's clients: the self-made authorities of older clusters lack an extension that RFC 5280 requires.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    insecure = cluster.get("insecure-skip-tls-verify")
    if not isinstance(insecure, bool | None):  # such as yes, which is a word here, and true for kubectl
        raise UnusableConfig("insecure-skip-tls-verify of the kubeconfig: expected true or false")
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if certificate or key:
        _load_client_certificate(context, certificate, key)
    return context


def _load_client_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a client certificate. OpenSSL reads it only from a file, so a private temporary one is written."""
    descriptor, name = tempfile.mkstemp(prefix="candy-agent-key-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate + b"\n" + key)
        # Without a password, OpenSSL would prompt for one on the terminal.
        context.load_cert_chain(name, password=lambda: b"")
    except (ssl.SSLError, ValueError):
        raise UnusableConfig(
            "client-certificate and client-key of the kubeconfig are not a certificate and its key in PEM"
        ) from None
    finally:
        Path(name).unlink()


def _pem(entry: Mapping[str, Json], key: str) -> bytes:
    """The content of an entry: as in kubectl, inline data takes precedence over a file."""
    if data := as_text(entry.get(f"{key}-data")):
        try:
            return _not_empty(base64.b64decode("".join(data.split()), validate=True), f"{key}-data")
        except (binascii.Error, ValueError):
            raise UnusableConfig(f"{key}-data of the kubeconfig is not base64") from None
    if name := as_text(entry.get(key)):
        try:
            return _not_empty(Path(name).read_bytes(), f"{name}, the {key}")
        except OSError as error:
            raise UnusableConfig(f"{name}, the {key} of the kubeconfig, cannot be read: {error.strerror}") from None
    return b""


def _not_empty(content: bytes, name: str) -> bytes:
    """The content. An empty certificate authority would otherwise mean to trust the system's."""
    if not content.strip():
        raise UnusableConfig(f"{name} of the kubeconfig is empty")
    return content
