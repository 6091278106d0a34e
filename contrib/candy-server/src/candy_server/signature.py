"""Verifies the signature of a callback, as a receiver does (contract section 4)."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum

MAX_AGE = 300.0
"""Seconds: "A receiver refuses timestamps over 5 minutes old." """


class Signature(StrEnum):
    """The result of verifying a callback's signature."""

    VERIFIED = "verified"
    MISSING = "missing"
    WRONG = "wrong"
    STALE = "stale"


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """``sha256=`` and the lower-case hex of HMAC-SHA256(secret, timestamp + ``.`` + raw body)."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verify(secret: str, *, timestamp: str | None, signature: str | None, body: bytes, now: float) -> Signature:
    """Verify the headers ``X-Candy-Timestamp`` and ``X-Candy-Signature``; ``now`` is in Unix seconds.

    A timestamp that is too far in the future is stale as well.
    """
    if not timestamp or not signature:
        return Signature.MISSING
    if not hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode()):
        return Signature.WRONG
    try:
        age = now - float(timestamp)
    except ValueError:
        return Signature.WRONG
    return Signature.VERIFIED if abs(age) <= MAX_AGE else Signature.STALE
