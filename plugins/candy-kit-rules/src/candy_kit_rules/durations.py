"""Durations as the rule files of Prometheus and of VictoriaMetrics write them."""

from __future__ import annotations

import re
from collections.abc import Callable

DurationProblem = Callable[[str], str | None]
"""What is wrong with a duration, or ``None``."""

_NANOSECONDS = {
    "y": 365 * 86_400_000_000_000,
    "w": 7 * 86_400_000_000_000,
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
}
_LONGEST = 2**63 - 1
"""The most nanoseconds that Prometheus can represent: about 292 years."""

_PROMETHEUS = re.compile("".join(rf"(?:([0-9]+){unit})?" for unit in _NANOSECONDS))
_METRICSQL = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ms|[smhdwyi]))+|[0-9]+(?:\.[0-9]*)?")
_LONGEST_TEXT = 100


def prometheus_duration_problem(text: str) -> str | None:
    """For Prometheus: whole numbers, units from ``y`` to ``ms`` in this order and each once; ``0`` needs no unit."""
    if text == "0":
        return None
    match = _PROMETHEUS.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if not text or match is None:
        return (
            "expected a duration as Prometheus writes it, such as 5m or 1h30m: "
            "whole numbers with the units y, w, d, h, m, s, ms in this order"
        )
    counts = zip(match.groups(), _NANOSECONDS.values(), strict=True)
    if sum(int(count) * size for count, size in counts if count) > _LONGEST:
        return "expected a duration of at most 292 years"
    return None


def victoriametrics_duration_problem(text: str) -> str | None:
    """For VictoriaMetrics: also fractions, units in any order and in capitals (but ``M``), and a number of seconds."""
    lowered = "".join(letter if letter == "M" else letter.lower() for letter in text)
    if len(text) > _LONGEST_TEXT or not _METRICSQL.fullmatch(lowered):
        return "expected a duration as VictoriaMetrics writes it, such as 5m, 1.5h or 30 (seconds)"
    return None


def victoriametrics_offset_problem(text: str) -> str | None:
    """As :func:`victoriametrics_duration_problem`, for durations that may be negative."""
    return victoriametrics_duration_problem(text.removeprefix("-"))


def victoriametrics_seconds(text: str) -> float:
    """The seconds of a duration that :func:`victoriametrics_offset_problem` accepts; the unit ``i`` counts as 0."""
    sign = -1.0 if text.startswith("-") else 1.0
    lowered = text.removeprefix("-").lower()
    if lowered[-1:] in set("0123456789."):
        return sign * float(lowered)
    terms = re.findall(r"([0-9.]+)([a-z]+)", lowered)
    return sign * sum(float(count) * _NANOSECONDS.get(unit, 0) / 1e9 for count, unit in terms)
