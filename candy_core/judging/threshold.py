"""Thresholds as an item's params write them (contract section 3)."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from functools import lru_cache

from attrs import field, frozen

MAX_LENGTH = 64
"""Characters that a threshold may have: it stands in sentences, and no honest one is longer."""

ALLOWED = (
    "expected a number (80), a comparison (>=80, <10, ==0, !=0; also > and <=) or a range (10:20, 10:, ~:10, @10:20)"
)

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_GAP = r"[ \t]*"
_comparison = re.compile(rf"(>=|<=|==|!=|>|<|=)?{_GAP}({_NUMBER})")
_range = re.compile(rf"(@)?{_GAP}(?:(~|{_NUMBER})?{_GAP}:)?{_GAP}({_NUMBER})?")


class Breach(StrEnum):
    """On which side of a threshold a value is that it should not have."""

    ABOVE = "above"
    BELOW = "below"
    OTHER = "other"
    """Neither: an equal value, an unequal one, or one inside a forbidden range."""


@frozen
class _Rule:
    """A threshold in numbers: bad is what lies outside ``floor`` to ``ceiling``, or inside them, ends included.

    ``sided``: whether a bad value is above or below, rather than just different.
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

    Spaces may stand around the whole, after an operator or ``@``, and around the colon. Numbers are decimal in ASCII,
    with a fraction and an exponent if need be. Anything else is refused: NaN and infinities (a threshold that cannot be
    passed would call everything fine; an open end is left out or written ``~``), hexadecimal, a comma, a unit, a range
    that starts above its end, and one without any bound.

    ``text`` is what was written, without the spaces around it; two thresholds are equal when their texts are. To make
    one of a text that cannot be read raises ``ValueError`` with what is allowed, and does not repeat the text.
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
    @lru_cache(maxsize=1024)  # few are written, and each again and again
    def parse(cls, text: str) -> Threshold:
        """Read a threshold. Raises ``ValueError`` for what the language does not allow."""
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @property
    def shown(self) -> str:
        """The ``{t}`` of sentences: the number as ``%.2f`` for a plain one and ``> >= < <=``, else as written."""
        return self._rule.shown

    def breach(self, value: float) -> Breach | None:
        """On which bad side ``value`` is; ``None`` if it is on none.

        NaN is on none, and no sign of anything being well: whoever compares asks for it first, as
        :func:`~candy_core.judging.verdict.judge` does.
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
        """How far ``value`` is beyond the nearer end of a range that is bad outside; negative within it."""
        return max(self._rule.floor - value, value - self._rule.ceiling)

    @property
    def lower_only(self) -> bool:
        """Whether it bounds values from below alone (``<10``, ``<=10``, ``10:``)."""
        rule = self._rule
        return rule.sided and not rule.inside and math.isinf(rule.ceiling)

    @property
    def two_sided(self) -> bool:
        """Whether a value can be too high as well as too low (``10:20``)."""
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
        raise ValueError(f"{ALLOWED}; a range needs a bound")
    floor = -math.inf if start == "~" else 0.0 if start is None else _finite(start)
    ceiling = math.inf if end is None else _finite(end)
    if floor > ceiling:
        raise ValueError(f"{ALLOWED}; a range starts at or below its end" + ("" if start else ", and at 0 if not told"))
    return _Rule(floor=floor, ceiling=ceiling, inside=inside, sided=not inside, shown=text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{ALLOWED}; a number is too large")
    return number
