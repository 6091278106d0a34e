"""The TLS context that a kubeconfig asks for."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from candy_core import Json
from candy_kit_kube.json_values import text
from candy_kit_kube.kubeconfig import Unusable


def tls_context(
    cluster: Mapping[str, Json], user: Mapping[str, Json], trusted: Callable[[], ssl.SSLContext]
) -> ssl.SSLContext:
    """Trust what the cluster's entry says, and nothing else; show the user's certificate.

    Without a certificate authority there it is ``trusted``, what the machine trusts. Reads files. Raises
    :class:`Unusable`.
    """
    authority = _pem(cluster, "certificate-authority")
    try:
        context = ssl.create_default_context(cadata=authority.decode("ascii")) if authority else trusted()
    except (ssl.SSLError, ValueError):
        raise Unusable("the certificate-authority of the kubeconfig is no certificate in PEM") from None
    # As Go's clients do: the authorities that older clusters made for themselves lack an extension that RFC 5280 wants.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cluster.get("insecure-skip-tls-verify") is True:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if certificate or key:
        _show(context, certificate, key)
    return context


def _show(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a client certificate. OpenSSL reads it from a file alone, so there is one, for this moment, for us only."""
    descriptor, name = tempfile.mkstemp(prefix="candy-agent-key-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate + b"\n" + key)
        # A password would be asked for on the terminal otherwise.
        context.load_cert_chain(name, password=lambda: b"")
    except (ssl.SSLError, ValueError):
        raise Unusable(
            "client-certificate and client-key of the kubeconfig are no certificate and its key in PEM"
        ) from None
    finally:
        Path(name).unlink()


def _pem(entry: Mapping[str, Json], key: str) -> bytes:
    """The bytes that an entry gives: the data in it before the file that it names, as kubectl has it."""
    if data := text(entry.get(f"{key}-data")):
        try:
            return _some(base64.b64decode("".join(data.split()), validate=True), f"{key}-data")
        except (binascii.Error, ValueError):
            raise Unusable(f"{key}-data of the kubeconfig is not base64") from None
    if name := text(entry.get(key)):
        try:
            return _some(Path(name).read_bytes(), f"{name}, the {key}")
        except OSError as error:
            raise Unusable(f"{name}, the {key} of the kubeconfig, cannot be read: {error.strerror}") from None
    return b""


def _some(content: bytes, what: str) -> bytes:
    """The content; an authority that is empty would else mean to trust what the machine trusts."""
    if not content.strip():
        raise Unusable(f"{what} of the kubeconfig is empty")
    return content
