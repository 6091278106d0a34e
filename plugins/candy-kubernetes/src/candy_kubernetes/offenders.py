"""The findings of a check: how many objects it inspected, and the worst offenders among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import define, field, frozen

from candy_core import Json, Locale
from candy_kubernetes import texts

MAX_NAMED: Final = 100
"""The most offenders that ``details`` names; the others are only counted (contract section 3)."""
_BUFFER_SIZE: Final = 2000
"""How many offenders are kept before all but the worst are dropped."""
_MAX_VALUE: Final = 300
"""Characters of a value that comes from the cluster."""
_MAX_LINE: Final = 1000
"""Characters of the line for one offender."""


def _short(value: object, limit: int = _MAX_VALUE) -> str:
    """The value on one line of at most ``limit`` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else f"{text[:limit]}…"


def _name(name: str) -> str:
    return _short(name)  # the object of an event may have any name


@frozen
class Issue:
    """A problem of an object: a sentence of :mod:`~candy_kubernetes.texts`, and the values for it."""

    msgid: str
    values: Mapping[str, object] = field(factory=dict)

    def text(self, locale: Locale) -> str:
        """The sentence in a language."""
        values = {name: _short(value) for name, value in self.values.items()}
        return texts.sentence(locale, self.msgid, **values)


IssueOrText: TypeAlias = Issue | str
"""An issue, or a text that is the same in every language."""


@frozen(kw_only=True)
class Offender:
    """An object with issues. ``name`` is unique in a check; a higher ``severity`` is worse."""

    name: str = field(converter=_name)
    severity: tuple[float, ...]
    issues: tuple[IssueOrText, ...]

    def text(self, locale: Locale) -> str:
        """The name and the issues, on one line."""
        issues = "; ".join(_short(issue) if isinstance(issue, str) else issue.text(locale) for issue in self.issues)
        return _short(f"{self.name} ({issues})", _MAX_LINE)


@define
class Findings:
    """Collects offenders, keeping only the worst in memory."""

    total: int = 0
    count: int = 0
    stats: dict[str, Json] = field(factory=dict)
    _kept: list[Offender] = field(factory=list)

    def add(self, offender: Offender) -> None:
        """Count an offender."""
        self.count += 1
        self._kept.append(offender)
        if len(self._kept) >= _BUFFER_SIZE:
            self._kept = self.worst()

    def tally(self, name: str, more: int = 1) -> None:
        """Add to one of the ``stats``."""
        value = self.stats.get(name, 0)
        self.stats[name] = (value if isinstance(value, int) else 0) + more

    def worst(self) -> list[Offender]:
        """At most :data:`MAX_NAMED`, worst first, ties by name."""
        return sorted(self._kept, key=_order)[:MAX_NAMED]


def _order(offender: Offender) -> tuple[tuple[float, ...], str]:
    return tuple(-severity for severity in offender.severity), offender.name
