"""The thresholds of item params (contract section 3)."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from functools import lru_cache

from attrs import field, frozen

MAX_LENGTH = 64
"""The maximum length: thresholds appear in sentences, and a real one is shorter."""

ALLOWED = (
    "expected a number (80), a comparison (>=80, <10, ==0, !=0; also > and <=) or a range (10:20, 10:, ~:10, @10:20)"
)

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_GAP = r"[ \t]*"
_comparison = re.compile(rf"(>=|<=|==|!=|>|<|=)?{_GAP}({_NUMBER})")
_range = re.compile(rf"(@)?{_GAP}(?:(~|{_NUMBER})?{_GAP}:)?{_GAP}({_NUMBER})?")


class Breach(StrEnum):
    """The side of a threshold on which a bad value is."""

    ABOVE = "above"
    BELOW = "below"
    OTHER = "other"
    """Neither: a value that is equal, unequal, or inside a forbidden range."""


@frozen
class _Rule:
    """A threshold in numbers: values outside ``floor`` to ``ceiling`` are bad, or values ``inside``, ends included.

    ``sided``: whether a bad value is above or below, and not just different.
    """

    floor: float
    ceiling: float
    shown: str
    inside: bool = False
    sided: bool = True


def _stripped(text: str) -> str:
    return text.strip(" \t")


@frozen
class Threshold:
    """What a value must not do.

    The language (contract section 3):

    - ``80``, a plain number: bad when the value is **greater** (unlike Nagios, where it would mean ``0:80``);
    - ``>80``, ``>=80``, ``<10``, ``<=10``, ``==0`` (also ``=0``), ``!=0``: bad when that holds;
    - a Nagios range: ``10:20`` is bad outside, the ends being good; ``10:`` below 10; ``~:10`` above 10; ``:20`` is
      ``0:20``; ``@10:20`` is bad inside, the ends included, and ``@20`` is ``@0:20``.

    Spaces are allowed around the whole, after an operator or ``@``, and around the colon. Numbers are decimal ASCII
    numbers, optionally with a fraction and an exponent. Everything else is rejected: NaN and infinities (a threshold
    that no value can breach would hide every problem; an open end is omitted or ``~``), hexadecimal numbers, commas,
    units, a range that starts above its end, and a range without any limit.

    ``text`` is the threshold without the spaces around it. Thresholds with equal texts are equal. Invalid text raises
    ``ValueError`` with what is allowed, and without the text.
    """

    text: str = field(converter=_stripped)
    _rule: _Rule = field(init=False, eq=False, repr=False)

    @_rule.default
    def _read(self) -> _Rule:
        if len(self.text) <= MAX_LENGTH:
            if match := _comparison.fullmatch(self.text):
                return _compared(match[1] or ">", _finite(match[2]), self.text)
            if match := _range.fullmatch(self.text):
                return _ranged(match[1] is not None, match[2], match[3], self.text)
        raise ValueError(ALLOWED)

    @classmethod
    @lru_cache(maxsize=1024)  # few different ones, each many times
    def parse(cls, text: str) -> Threshold:
        """Read a threshold. Raises ``ValueError`` if it is invalid."""
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @property
    def shown(self) -> str:
        """The ``{t}`` of sentences: the number as ``%.2f`` for a plain number and ``> >= < <=``, else the text."""
        return self._rule.shown

    def breach(self, value: float) -> Breach | None:
        """The bad side on which ``value`` is, ``None`` if it is good.

        NaN is on no side, but not good either: check for it first, as :func:`~candy_core.judging.verdict.judge` does.
        """
        rule = self._rule
        if rule.inside:
            return Breach.OTHER if rule.floor <= value <= rule.ceiling else None
        if value > rule.ceiling:
            return Breach.ABOVE if rule.sided else Breach.OTHER
        if value < rule.floor:
            return Breach.BELOW if rule.sided else Breach.OTHER
        return None

    def distance(self, value: float) -> float:
        """The distance of ``value`` beyond the nearer end of a range that is bad outside, negative inside the range."""
        return max(self._rule.floor - value, value - self._rule.ceiling)

    @property
    def lower_only(self) -> bool:
        """Whether only low values are bad (``<10``, ``<=10``, ``10:``)."""
        rule = self._rule
        return rule.sided and not rule.inside and math.isinf(rule.ceiling)

    @property
    def two_sided(self) -> bool:
        """Whether low and high values are bad (``10:20``)."""
        rule = self._rule
        return rule.sided and not rule.inside and math.isfinite(rule.floor) and math.isfinite(rule.ceiling)


def _compared(sign: str, number: float, text: str) -> _Rule:
    shown = f"{number:.2f}"
    match sign:
        case ">":
            return _Rule(floor=-math.inf, ceiling=number, shown=shown)
        case ">=":  # greater than the number just below
            return _Rule(floor=-math.inf, ceiling=math.nextafter(number, -math.inf), shown=shown)
        case "<":
            return _Rule(floor=number, ceiling=math.inf, shown=shown)
        case "<=":
            return _Rule(floor=math.nextafter(number, math.inf), ceiling=math.inf, shown=shown)
        case "!=":
            return _Rule(floor=number, ceiling=number, sided=False, shown=text)
        case _:
            return _Rule(floor=number, ceiling=number, inside=True, sided=False, shown=text)


def _ranged(inside: bool, start: str | None, end: str | None, text: str) -> _Rule:
    if start in (None, "~") and end is None:
        raise ValueError(f"{ALLOWED}; a range needs a limit")
    floor = -math.inf if start == "~" else 0.0 if start is None else _finite(start)
    ceiling = math.inf if end is None else _finite(end)
    if floor > ceiling:
        raise ValueError(f"{ALLOWED}; a range starts at or below its end" + ("" if start else ", and at 0 by default"))
    return _Rule(floor=floor, ceiling=ceiling, inside=inside, sided=not inside, shown=text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{ALLOWED}; a number is too large")
    return number
