"""The queries that every tool runs."""

from __future__ import annotations

from collections.abc import Sequence

METRIC = "node_load1"
"""One series, so that the client's work is measured and not Prometheus'."""


def different(count: int) -> Sequence[str]:
    """As many different queries of the cheapest kind. Different, since the agent sends equal ones only once."""
    return [f"{METRIC} + 0 * {number}" for number in range(count)]


def unbatchable(count: int) -> Sequence[str]:
    """The same, sorted: batching would lose the order, so the agent sends each in a request of its own."""
    return [f"sort({query})" for query in different(count)]
