"""The results of the measurements, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from attrs import frozen
from rich.table import Table

from candy_bench.rounds import Spread


class NotMeasured(Exception):
    """A program to compare with is missing; the message says which, and how to install it."""


class Bound(StrEnum):
    """Whether a goal is a minimum or a maximum."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@frozen(kw_only=True)
class Goal:
    """A target value."""

    bound: Bound
    value: float

    def reached(self, figure: float) -> bool:
        """Whether a figure meets the goal."""
        return figure >= self.value if self.bound is Bound.AT_LEAST else figure <= self.value


@frozen(kw_only=True)
class Finding:
    """One row of the table. Without a goal it is for comparison only. ``note``: how the figure is made up.

    Without a figure it was not measured, and ``note`` says why.
    """

    label: str
    figure: Spread | None
    goal: Goal | None = None
    unit: str = ""
    note: str = ""


def table(findings: Sequence[Finding]) -> Table:
    """All results as a table."""
    shown = Table("measured", "goal", "median", "lowest – highest", "reached")
    for finding in findings:
        goal = finding.goal
        if finding.figure is None:
            shown.add_row(f"{finding.label}\n[dim]not measured: {finding.note}[/]")
            continue
        shown.add_row(
            f"{finding.label}\n[dim]{finding.note}[/]" if finding.note else finding.label,
            "" if goal is None else f"{goal.bound} {goal.value:g}{finding.unit}",
            f"{_figure(finding.figure.median)}{finding.unit}",
            f"{_figure(finding.figure.low)} – {_figure(finding.figure.high)}",
            "" if goal is None else "[green]yes[/]" if goal.reached(finding.figure.median) else "[bold red]no[/]",
        )
    return shown


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"
