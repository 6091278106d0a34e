"""How VictoriaMetrics differs from Prometheus."""

from __future__ import annotations

from functools import partial

from msgspec import Struct, json

from candy_kit_promql import UNREADABLE, BlindProbe, CountProbe, Dialect, Endpoint, QueryData, QueryFailed, Reply

FORM = b"&nocache=1&latency_offset=1s"
"""``nocache`` stops it from hiding the last seconds of an instant query, by which items of one task would disagree
(contract section 3). ``latency_offset`` does much the same for ranges, in the versions that know it."""

HIDDEN_SECONDS = 30.0
"""``-search.latencyOffset``. The points of the last seconds of a range that ends at the present repeat the one before
them, or are missing, whatever the form says. A range that ends more than a step after the present is not affected."""


class _Stats(Struct, gc=False):
    seriesFetched: str | int  # noqa: N815  # the server's spelling; it is a text


_read_stats = json.Decoder(_Stats).decode


def series_fetched(reply: Reply, data: QueryData) -> int | None:
    """How many series were read. Newer versions report it, in the envelope of the answer."""
    try:
        return int(_read_stats(reply.stats).seriesFetched)
    except (*UNREADABLE, ValueError):
        return None


async def supports_batches(endpoint: Endpoint, seconds: float) -> bool:
    """Whether it is really VictoriaMetrics: only MetricsQL has the function ``label_set``."""
    try:
        await endpoint.request(endpoint.query_url, b"query=label_set(1,%22a%22,%22b%22)" + FORM, seconds)
    except QueryFailed:
        return False
    return True


def sort_key(labels: dict[str, str]) -> object:
    """Answers are sorted by name, then label by label, as bytes."""
    pairs = sorted((name.encode(), value.encode()) for name, value in labels.items() if name != "__name__")
    return labels.get("__name__", "").encode(), pairs


VICTORIAMETRICS = Dialect(
    form=FORM,
    series_read=series_fetched,
    probe=partial(CountProbe, form=FORM),
    blind_probe=partial(BlindProbe, form=FORM),
    supports_batches=supports_batches,
    sort_key=sort_key,
    hidden_seconds=HIDDEN_SECONDS,
)
"""MetricsQL is sent as it is. The selectors of a query that is not PromQL are unknown, so only the server's count can
explain why its answer is empty."""
