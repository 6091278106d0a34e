"""Spans of time in params, and how long ago something was in words."""

from __future__ import annotations

import re

from attrs import frozen

from candy_kit_promql import Duration

_NOTHING = re.compile(r"0+(\.0*)?(ms|[ywdhms])?")


@frozen
class Span:
    """A span of time: as Prometheus writes it (``5m``, ``1h30m``), or a number of seconds, 0 among them."""

    text: str
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read a span. Raises ``ValueError`` with what is allowed."""
        written = text.strip()
        if _NOTHING.fullmatch(written):
            return cls(written, 0.0)
        return cls(written, Duration.parse(written).seconds)

    def __str__(self) -> str:
        return self.text


def age(seconds: float) -> str:
    """How long something has lasted, by its two largest units: ``3d4h``, ``5m10s``, ``0s``."""
    left = max(0, int(seconds))
    parts: list[tuple[int, str]] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append((count, unit))
        if len(parts) == 2:
            break
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
