"""Spans of time in params, and their short form in sentences."""

from __future__ import annotations

import re

from attrs import frozen

from candy_kit_promql import Duration

_ZERO = re.compile(r"0+(\.0*)?(ms|[ywdhms])?")


@frozen
class Span:
    """A span of time, as a Prometheus duration (``5m``, ``1h30m``) or a number of seconds, including 0."""

    text: str
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Span:
        """Parse a span. Raises ``ValueError`` that says what is allowed."""
        text = text.strip()
        return cls(text, 0.0 if _ZERO.fullmatch(text) else Duration.parse(text).seconds)

    def __str__(self) -> str:
        return self.text


def age(seconds: float) -> str:
    """A duration in its two largest units: ``3d4h``, ``5m10s``, ``0s``."""
    rest = max(0, int(seconds))
    units: list[tuple[int, str]] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or units:
            units.append((count, unit))
        if len(units) == 2:
            break
    return "".join(f"{count}{unit}" for count, unit in units if count) or "0s"
