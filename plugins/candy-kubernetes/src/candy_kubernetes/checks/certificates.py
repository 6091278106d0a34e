"""Certificates in TLS secrets: whether they are valid, and for how long.

Kubernetes returns a whole secret, including the private key. The key is skipped when the page is decoded.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypedDict

from candy_core import Json
from candy_kit_kube import as_object, as_text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import full_name
from candy_kubernetes.offenders import Findings, Issue, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams

SecretData = TypedDict("SecretData", {"tls.crt": Any}, total=False)


class TlsSecret(TypedDict, total=False):
    """The fields of a secret that are read: its certificates, and never its key."""

    metadata: Metadata
    data: SecretData


TLS_SECRETS: Final = Resource(
    plural="secrets", kind="Secret", page=Page[TlsSecret], field_selector="type=kubernetes.io/tls"
)
DAYS: Final = 30.0
"""How many days a certificate must still be valid, by default."""
_DAY: Final = 86400.0
_CERTIFICATE: Final = "tls.crt"


class CertificateScan:
    """An offender is a secret with a certificate in its chain that has expired, expires soon, or is not valid yet."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._days = DAYS if params.days is None else params.days
        self._now = now
        self._soonest: float | None = None
        self._findings = Findings(stats={"expired": 0, "expiring": 0, "unreadable": 0})

    def inspect(self, resource: Resource, obj: Mapping[str, Json]) -> None:
        """Check the ``tls.crt`` of one secret, and nothing else in it."""
        self._findings.total += 1
        name = full_name(obj)
        try:
            not_before, not_after = _validity(base64.b64decode(as_text(as_object(obj.get("data")).get(_CERTIFICATE))))
        except (ValueError, binascii.Error):
            self._findings.tally("unreadable")
            self._findings.add(Offender(name=name, severity=(0.0, 0.0), issues=(Issue(texts.UNREADABLE),)))
            return
        self._soonest = not_after if self._soonest is None else min(self._soonest, not_after)
        days = (not_after - self._now) / _DAY
        if days <= 0:
            self._findings.tally("expired")
            issue = Issue(texts.EXPIRED, {"days": f"{-days:.1f}", "time": _format(not_after)})
        elif not_before > self._now:
            issue = Issue(texts.NOT_YET_VALID, {"time": _format(not_before)})
        elif days <= self._days:
            self._findings.tally("expiring")
            issue = Issue(texts.EXPIRES, {"days": f"{days:.1f}", "time": _format(not_after)})
        else:
            return
        self._findings.add(Offender(name=name, severity=(1.0, -days), issues=(issue,)))

    def findings(self) -> Findings:
        """The offenders found."""
        if self._soonest is not None:
            self._findings.stats["soonest_days"] = round((self._soonest - self._now) / _DAY, 2)
        return self._findings


def _validity(chain: bytes) -> tuple[float, float]:
    """From when and until when the whole chain is valid. Raises ``ValueError`` if it has no readable certificate."""
    from cryptography import x509  # late: 0.1 s, at the first secret

    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except x509.InvalidVersion as error:  # the only one of its errors that is not a ValueError
        raise ValueError(str(error)) from None
    return (
        max(each.not_valid_before_utc.timestamp() for each in certificates),
        min(each.not_valid_after_utc.timestamp() for each in certificates),
    )


def _format(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
