"""The alert rules that everybody keeps."""

from __future__ import annotations


def rule_name(number: int) -> str:
    """The name of a rule, and of its alert."""
    return f"Bench{number}"


def expression(number: int) -> str:
    """The expression of its alert; each is another one."""
    return (
        '100 - (avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) * 100) '
        f"> {number % 100} and on (instance) up + {number} > 0"
    )
