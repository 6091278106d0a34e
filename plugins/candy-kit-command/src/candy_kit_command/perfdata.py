"""Performance data as monitoring plugins write it: ``'label'=value[UOM];[warn];[crit];[min];[max]`` after a ``|``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from candy_core import Json

MAX_METRICS = 200
"""How many metrics of one output are reported."""

_NUMBER = r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_ITEM = re.compile(
    rf"""\s*
    (?: '(?P<quoted>(?:[^']|'')*)' | (?P<plain>[^\s='][^\s=]*) ) =
    (?P<value>{_NUMBER}|U)? (?P<unit>[^\s;0-9'"]*)
    (?P<rest>(?:;[^\s;]*)*)
    (?=\s|$)""",
    re.VERBOSE,
)
_SKIPPED = re.compile(r"\s*(?:'(?:[^']|'')*'\S*|\S+)")
_BOUND = re.compile(_NUMBER)


@frozen(kw_only=True)
class Metric:
    """One metric. ``value`` is ``None`` where the plugin could not determine it (``U``).

    ``warn`` and ``crit`` are ranges as the plugin wrote them.
    """

    label: str
    value: float | None
    unit: str = ""
    warn: str = ""
    crit: str = ""
    min: float | None = None
    max: float | None = None

    def json(self) -> dict[str, Json]:
        """The metric in an item's ``stats``: only the fields that are known."""
        bounds = {"min": self.min, "max": self.max}
        texts = {"unit": self.unit, "warn": self.warn, "crit": self.crit}
        return {
            "value": self.value,
            **{key: text for key, text in texts.items() if text},
            **{key: bound for key, bound in bounds.items() if bound is not None},
        }


def perfdata_of(output: str) -> tuple[Metric, ...]:
    """The metrics in a plugin's output: after the ``|`` of its first line, and after the first ``|`` of later lines.

    Unreadable ones are skipped; of duplicate labels the first is kept; at most :data:`MAX_METRICS` are returned.
    """
    found: dict[str, Metric] = {}
    for metric in _metrics(_sections(output)):
        found.setdefault(metric.label, metric)
        if len(found) == MAX_METRICS:
            break
    return tuple(found.values())


def status_text(output: str) -> str:
    """A plugin's message: the first line of its output, without the metrics."""
    return output.partition("\n")[0].partition("|")[0].strip()


def _sections(output: str) -> str:
    first, _, rest = output.partition("\n")
    return first.partition("|")[2] + "\n" + rest.partition("|")[2]


def _metrics(section: str) -> Iterator[Metric]:
    position = 0
    while position < len(section):
        match = _ITEM.match(section, position)
        if match is None:
            skipped = _SKIPPED.match(section, position)
            position = len(section) if skipped is None else skipped.end()
            continue
        position = match.end()
        label = match["plain"] if match["quoted"] is None else match["quoted"].replace("''", "'")
        value = match["value"]
        if not label or value is None:
            continue
        warn, crit, low, high = ([*match["rest"].split(";")[1:], "", "", "", ""])[:4]
        yield Metric(
            label=label,
            value=None if value == "U" else _float(value),
            unit=match["unit"],
            warn=warn,
            crit=crit,
            min=_bound(low),
            max=_bound(high),
        )


def _bound(text: str) -> float | None:
    return _float(text) if _BOUND.fullmatch(text) else None


def _float(text: str) -> float | None:
    """``None`` for a number that no float can hold, such as ``1e999``."""
    number = float(text.replace(",", "."))
    return number if abs(number) != float("inf") else None
