"""Certificates in TLS secrets: whether they are valid, and for how long.

Kubernetes gives a secret whole, its private key with it. The key is passed over where the page is read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypedDict

from candy_core import Json
from candy_kit_kube.json_values import members, text
from candy_kubernetes import texts
from candy_kubernetes.checks.check import Resource
from candy_kubernetes.checks.objects import name_of
from candy_kubernetes.offenders import Fault, Findings, Offender
from candy_kubernetes.page import Metadata, Page
from candy_kubernetes.params import KubernetesParams

SecretData = TypedDict("SecretData", {"tls.crt": Any}, total=False)


class TlsSecret(TypedDict, total=False):
    """What is looked at of a secret: its certificates, and never its key."""

    metadata: Metadata
    data: SecretData


TLS_SECRETS: Final = Resource(
    plural="secrets", kind="Secret", page=Page[TlsSecret], field_selector="type=kubernetes.io/tls"
)
DAYS: Final = 30.0
"""How many days a certificate has to be good for."""
_DAY: Final = 86400.0
_CERTIFICATE: Final = "tls.crt"


class CertificateSurvey:
    """Holds against a secret that a certificate of its chain has expired, soon will, or is not valid yet."""

    def __init__(self, params: KubernetesParams, now: float) -> None:
        self._days = DAYS if params.days is None else params.days
        self._now = now
        self._soonest: float | None = None
        self._findings = Findings(stats={"expired": 0, "expiring": 0, "unreadable": 0})

    def see(self, resource: Resource, thing: Mapping[str, Json]) -> None:
        """Look at one secret's ``tls.crt``, and at nothing else in it."""
        self._findings.total += 1
        name = name_of(thing)
        try:
            begins, ends = _validity(base64.b64decode(text(members(thing.get("data")).get(_CERTIFICATE))))
        except (ValueError, binascii.Error):
            self._findings.tally("unreadable")
            self._findings.add(Offender(name=name, gravity=(0.0, 0.0), faults=(Fault(texts.UNREADABLE),)))
            return
        self._soonest = ends if self._soonest is None else min(self._soonest, ends)
        left = (ends - self._now) / _DAY
        if left <= 0:
            self._findings.tally("expired")
            fault = Fault(texts.EXPIRED, {"days": f"{-left:.1f}", "time": _shown(ends)})
        elif begins > self._now:
            fault = Fault(texts.NOT_YET_VALID, {"time": _shown(begins)})
        elif left <= self._days:
            self._findings.tally("expiring")
            fault = Fault(texts.EXPIRES, {"days": f"{left:.1f}", "time": _shown(ends)})
        else:
            return
        self._findings.add(Offender(name=name, gravity=(1.0, -left), faults=(fault,)))

    def found(self) -> Findings:
        """What was found."""
        if self._soonest is not None:
            self._findings.stats["soonest_days"] = round((self._soonest - self._now) / _DAY, 2)
        return self._findings


def _validity(chain: bytes) -> tuple[float, float]:
    """From when and until when the whole chain is valid. Raises ``ValueError`` where there is no certificate."""
    from cryptography import x509  # late: 0.1 s, for the first secret alone

    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except x509.InvalidVersion as error:  # the one of its errors that is no ValueError
        raise ValueError(str(error)) from None
    return (
        max(each.not_valid_before_utc.timestamp() for each in certificates),
        min(each.not_valid_after_utc.timestamp() for each in certificates),
    )


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
