"""What a measurement found, and the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from attrs import frozen
from rich.table import Table

from candy_bench.rounds import Spread


class NotMeasured(Exception):
    """Something that a measurement compares with is not here; the message says what, and how to get it."""


class Bound(StrEnum):
    """On which side of the goal a figure has to be."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@frozen(kw_only=True)
class Goal:
    """What is aimed at."""

    bound: Bound
    value: float

    def reached(self, figure: float) -> bool:
        """Whether a figure is on the right side."""
        return figure >= self.value if self.bound is Bound.AT_LEAST else figure <= self.value


@frozen(kw_only=True)
class Finding:
    """One row of the table. Without a goal it is there to compare with. ``note``: what the figure is made of.

    Without a figure it was not measured, and ``note`` says why.
    """

    what: str
    figure: Spread | None
    goal: Goal | None = None
    unit: str = ""
    note: str = ""


def table(findings: Sequence[Finding]) -> Table:
    """Everything that was found."""
    shown = Table("measured", "goal", "median", "lowest – highest", "reached")
    for finding in findings:
        goal = finding.goal
        if finding.figure is None:
            shown.add_row(f"{finding.what}\n[dim]not measured: {finding.note}[/]")
            continue
        shown.add_row(
            f"{finding.what}\n[dim]{finding.note}[/]" if finding.note else finding.what,
            "" if goal is None else f"{goal.bound} {goal.value:g}{finding.unit}",
            f"{_figure(finding.figure.median)}{finding.unit}",
            f"{_figure(finding.figure.low)} – {_figure(finding.figure.high)}",
            "" if goal is None else "[green]yes[/]" if goal.reached(finding.figure.median) else "[bold red]no[/]",
        )
    return shown


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"
