"""What differs between the servers that speak Prometheus' query API."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from msgspec import Struct, json

from candy_kit_promql.batch import SortKey
from candy_kit_promql.batch_support import SupportsBatches, prometheus_supports_batches
from candy_kit_promql.client import Endpoint
from candy_kit_promql.emptiness import AbsenceProbe
from candy_kit_promql.large_answer import LargeAnswerLock
from candy_kit_promql.probes import BlindProbe, CountProbe
from candy_kit_promql.selectors import Selection, selection_of
from candy_kit_promql.wire import UNREADABLE, QueryData, Reply

MakeProbe = Callable[[Endpoint, float, float, LargeAnswerLock], AbsenceProbe]
"""From the endpoint, the query's instant, the remaining seconds, and the query's lock for large answers."""


@frozen(kw_only=True)
class Dialect:
    """One kind of server.

    ``form`` is appended to the form of every query, ``&`` first. ``series_read`` returns how many samples or series the
    server read for an answer, or ``None`` if it does not say. ``selection`` finds the selectors of a query, or returns
    ``None``. ``probe`` is used where the server reports such counts, ``blind_probe`` where it does not.
    ``supports_batches`` finds out whether an endpoint may be sent many queries in one request (``None``: never);
    ``sort_key`` is the order of the server's answers, if it has one. At the end of a range, the server hides or
    falsifies points of the last ``hidden_seconds`` before the present; the range is then extended past the present.
    """

    form: bytes = b""
    series_read: Callable[[Reply, QueryData], int | None]
    selection: Callable[[str], Selection | None] = selection_of
    probe: MakeProbe = CountProbe
    blind_probe: MakeProbe = BlindProbe
    supports_batches: SupportsBatches | None = None
    sort_key: SortKey | None = None
    hidden_seconds: float = 0.0


class _Samples(Struct, gc=False):
    totalQueryableSamples: int  # noqa: N815  # the server's spelling


class _Stats(Struct, gc=False):
    samples: _Samples


_read_stats = json.Decoder(_Stats).decode


def _samples_read(reply: Reply, data: QueryData) -> int | None:
    try:
        return _read_stats(data.stats).samples.totalQueryableSamples
    except UNREADABLE:
        return None


PROMETHEUS = Dialect(form=b"&stats=all", series_read=_samples_read, supports_batches=prometheus_supports_batches)
"""Prometheus and compatible servers (Thanos, Mimir). Those without ``stats`` get ``blind_probe``, and only Prometheus
itself gets batches."""
