"""What the receiver's answer means for a delivery (contract section 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from candy_core import Answer, Delivered, Refused, Retry

BLOCKED_SECONDS = 300.0
"""Seconds until the next attempt after 401 or 403: the key may have been rotated."""
MAX_RETRY_AFTER = 3600.0
"""The longest wait that a receiver can ask for, in seconds."""
_SECONDS = re.compile(r"[0-9]{1,12}")


def answer_to(status: int, headers: Mapping[str, str], target: str, now: float) -> Answer:
    """The port's answer to an HTTP status. ``target`` names the receiver, ``now`` is in Unix seconds."""
    if 200 <= status < 300:
        return Delivered(f"{target} answered {status}")
    if status in (401, 403):
        return Retry(f"{target} refused the key with {status}", after=BLOCKED_SECONDS, blocked=True)
    if status in (408, 425, 429) or 500 <= status < 600:
        return Retry(f"{target} answered {status}", after=retry_after(headers, now))
    if 300 <= status < 400:
        return Refused(f"{target} answered {status}, and a redirect is not followed: it would carry the key elsewhere")
    return Refused(f"{target} answered {status}")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that ``Retry-After`` asks for, from 1 s to :data:`MAX_RETRY_AFTER`; ``None`` without a valid one.

    A date is compared with the receiver's own ``Date``, so that the clocks need not agree.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        moment = _unix(text)
        if moment is None:
            return None
        seconds = moment - (_unix(headers.get("Date", "")) or now)
    return min(max(seconds, 1.0), MAX_RETRY_AFTER)


def _unix(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
