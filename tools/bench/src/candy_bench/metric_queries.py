"""The queries that everybody is asked to ask."""

from __future__ import annotations

from collections.abc import Sequence

METRIC = "node_load1"
"""One series, so that the work lies in asking and not in Prometheus."""


def different(count: int) -> Sequence[str]:
    """As many different queries of the cheapest kind. Different, since the agent asks equal ones only once."""
    return [f"{METRIC} + 0 * {number}" for number in range(count)]


def unbatchable(count: int) -> Sequence[str]:
    """The same, in an order that a join would lose: the agent asks each of them in a request of its own."""
    return [f"sort({query})" for query in different(count)]
