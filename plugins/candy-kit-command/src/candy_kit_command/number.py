"""The one number that an output is, or that it contains where its template searches for it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from candy_core import Sample
from candy_kit_command.command import NumberPattern

_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE)
_MAX_LENGTH = 400
_DAY = 86_400.0


def extract_number(output: str, number: NumberPattern | None, clock: Callable[[], float] = time.time) -> Sample | None:
    """The number of an output, ``None`` if there is none. Its ``text`` is what the command wrote, if it wrote it."""
    if number is None:
        return _sample(output.strip())
    matches = [match[number.pattern.groups] for match in number.pattern.finditer(output)]
    if number.pick == "count":
        return _sample(str(len(matches)))
    samples = [sample for match in matches if (sample := _parse(match, number, clock)) is not None]
    if not samples or len(samples) < len(matches):
        return None
    match number.pick:
        case "last":
            return samples[-1]
        case "min":
            return min(samples, key=_value)
        case "max":
            return max(samples, key=_value)
        case "sum":
            return _sample(f"{sum(map(_value, samples)):.15g}")
        case _:
            return samples[0]


def _value(sample: Sample) -> float:
    return sample.value


def _parse(text: str | None, number: NumberPattern, clock: Callable[[], float]) -> Sample | None:
    if number.unit == "number":
        return _sample((text or "").strip())
    try:
        moment = datetime.strptime(" ".join((text or "").split()), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return _sample(f"{(moment.timestamp() - clock()) / _DAY:.2f}")


def _sample(text: str) -> Sample | None:
    if len(text) > _MAX_LENGTH or not _NUMBER.fullmatch(text):
        return None
    return Sample(instance="", value=float(text), text=text)
