"""What VictoriaMetrics does otherwise than Prometheus."""

from __future__ import annotations

from functools import partial

from msgspec import Struct, json

from candy_kit_promql import BlindProbe, CountProbe, Dialect, Endpoint, QueryFailed, Turn
from candy_kit_promql.wire import UNREADABLE, Data, Reply

FORM = b"&nocache=1&latency_offset=1s"
"""At the present instant it would otherwise hide the last seconds, and items of one task would disagree (section 3).

The second does much the same for ranges, where the version knows it."""

HIDES = 30.0
"""Seconds (``-search.latencyOffset``). In a range that ends at the present, the points of these repeat the one before
them, or are missing with it, whatever the form says. A range that goes on past the present by more than a step is left
as it is."""


class _Stats(Struct, gc=False):
    seriesFetched: str | int  # noqa: N815  # the server's spelling; it is a text


_read_stats = json.Decoder(_Stats).decode


def series_fetched(reply: Reply, data: Data) -> int | None:
    """How many series were read, where the server tells: newer versions do, beside the data and not within it."""
    try:
        return int(_read_stats(reply.stats).seriesFetched)
    except (*UNREADABLE, ValueError):
        return None


async def marks(endpoint: Endpoint, seconds: float, turn: Turn) -> bool:
    """Whether it is VictoriaMetrics indeed: ``label_set`` is a function of MetricsQL alone."""
    try:
        await endpoint.ask(endpoint.query_url, b"query=label_set(1,%22a%22,%22b%22)" + FORM, seconds, turn)
    except QueryFailed:
        return False
    return True


def sort_key(labels: dict[str, str]) -> object:
    """Answers are sorted by name, then label by label; in bytes."""
    pairs = sorted((name.encode(), value.encode()) for name, value in labels.items() if name != "__name__")
    return labels.get("__name__", "").encode(), pairs


VICTORIAMETRICS = Dialect(
    form=FORM,
    series_read=series_fetched,
    probe=partial(CountProbe, form=FORM),
    blind_probe=partial(BlindProbe, form=FORM),
    marks=marks,
    sort_key=sort_key,
    hides=HIDES,
)
"""MetricsQL goes to the server as it is. An expression that is no PromQL, too, is one that the kit does not take apart:
then only the server's count can tell why an answer is empty."""
