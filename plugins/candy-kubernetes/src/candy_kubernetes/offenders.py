"""What a check has found: how much was looked at, and the worst of what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from attrs import define, field, frozen

from candy_core import Json, Locale
from candy_kubernetes import texts

MAX_NAMED: Final = 100
"""How many ``details`` names before it only counts them (contract section 3)."""
_KEPT: Final = 2000
"""How many are kept until the worst of them are sorted out."""
_WORDS: Final = 300
"""Characters of somebody else's words."""
_LINE: Final = 1000
"""Characters of the line on one offender."""


def _short(value: object, most: int = _WORDS) -> str:
    """On one line, and not too long."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[:most]}…"


def _name(name: str) -> str:
    return _short(name)  # what an event is about may have any name


@frozen
class Fault:
    """One thing that is wrong: a sentence of :mod:`~candy_kubernetes.texts`, and what fills it."""

    msgid: str
    values: Mapping[str, object] = field(factory=dict)

    def told(self, locale: Locale) -> str:
        """In words."""
        values = {name: _short(value) for name, value in self.values.items()}
        return texts.sentence(locale, self.msgid, **values)


Told: TypeAlias = Fault | str
"""A fault; or a text that is the same in every language."""


@frozen(kw_only=True)
class Offender:
    """Something that is not as it should be. The higher its ``gravity``, the worse; ``name`` is unique in a check."""

    name: str = field(converter=_name)
    gravity: tuple[float, ...]
    faults: tuple[Told, ...]

    def told(self, locale: Locale) -> str:
        """One line."""
        faults = "; ".join(_short(fault) if isinstance(fault, str) else fault.told(locale) for fault in self.faults)
        return _short(f"{self.name} ({faults})", _LINE)


@define
class Findings:
    """Collects offenders, however many there are, in little memory."""

    total: int = 0
    count: int = 0
    stats: dict[str, Json] = field(factory=dict)
    _kept: list[Offender] = field(factory=list)

    def add(self, offender: Offender) -> None:
        """Count one more."""
        self.count += 1
        self._kept.append(offender)
        if len(self._kept) >= _KEPT:
            self._kept = self.worst()

    def extend(self, offenders: Iterable[Offender]) -> None:
        """Count more of them."""
        for offender in offenders:
            self.add(offender)

    def tally(self, name: str, more: int = 1) -> None:
        """Add to one of the ``stats``."""
        before = self.stats.get(name, 0)
        self.stats[name] = (before if isinstance(before, int) else 0) + more

    def worst(self) -> list[Offender]:
        """At most :data:`MAX_NAMED`, worst first, ties by name."""
        return sorted(self._kept, key=_order)[:MAX_NAMED]


def _order(offender: Offender) -> tuple[tuple[float, ...], str]:
    return tuple(-gravity for gravity in offender.gravity), offender.name
