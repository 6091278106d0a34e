"""Durations as Prometheus writes them."""

from __future__ import annotations

import re

from attrs import frozen

_UNITS = {"y": 365 * 86400.0, "w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PATTERN = re.compile("".join(rf"(?:([0-9]{{1,12}}){unit})?" for unit in _UNITS))
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_SHORTEST = _UNITS["ms"]  # the shortest that servers accept
_LONGEST = 100 * _UNITS["y"]


@frozen
class Duration:
    """A span of time of at least a millisecond and at most 100 years.

    Written as Prometheus does (``5m``, ``1h30m``, ``500ms``; units ``y w d h m s ms``, largest first, each once), or as
    a number of seconds. ``text`` is how it was written.
    """

    text: str
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Parse a duration. Raises ``ValueError``; its message says what is allowed."""
        written = text.strip()
        if _SECONDS.fullmatch(written):
            seconds = float(written)
        elif written and (match := _PATTERN.fullmatch(written)):
            seconds = sum(
                int(count) * size for count, size in zip(match.groups(), _UNITS.values(), strict=True) if count
            )
        else:
            raise ValueError("expected a duration as Prometheus writes it (5m, 1h30m) or a number of seconds")
        if not _SHORTEST <= seconds <= _LONGEST:
            raise ValueError("expected a duration of at least 1 ms and at most 100 years")
        return cls(written, seconds)

    def __str__(self) -> str:
        return self.text
