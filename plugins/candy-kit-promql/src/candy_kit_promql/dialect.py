"""What differs between the servers that speak Prometheus' query API."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from msgspec import Struct, json

from candy_kit_promql.batch import SortKey
from candy_kit_promql.client import Endpoint
from candy_kit_promql.emptiness import AbsenceProbe
from candy_kit_promql.large import Turn
from candy_kit_promql.marking import Marks, prometheus_marks
from candy_kit_promql.probes import BlindProbe, CountProbe
from candy_kit_promql.selectors import Selection, selection_of
from candy_kit_promql.wire import UNREADABLE, Data, Reply

MakeProbe = Callable[[Endpoint, float, float, Turn], AbsenceProbe]
"""From the endpoint, the query's instant, the seconds that are left and the turn."""


@frozen(kw_only=True)
class Dialect:
    """One kind of server.

    ``form`` is added to the form of every query, ``&`` first. ``series_read`` finds how much was read for an answer, or
    ``None`` if the server does not say. ``selection`` takes a query apart, or gives ``None``. ``probe`` is used where
    the server tells counts, ``blind_probe`` where it does not. ``marks`` finds out whether an endpoint may be asked
    many questions in one request (``None``: it never is); ``sort_key`` is what the server sorts its answers by, if it
    does. ``hides``: the seconds before the present whose points the server hides or falsifies in a range that ends
    there; it is then asked for a range that goes on past the present.
    """

    form: bytes = b""
    series_read: Callable[[Reply, Data], int | None]
    selection: Callable[[str], Selection | None] = selection_of
    probe: MakeProbe = CountProbe
    blind_probe: MakeProbe = BlindProbe
    marks: Marks | None = None
    sort_key: SortKey | None = None
    hides: float = 0.0


class _Samples(Struct, gc=False):
    totalQueryableSamples: int  # noqa: N815  # the server's spelling


class _Stats(Struct, gc=False):
    samples: _Samples


_read_stats = json.Decoder(_Stats).decode


def _samples_read(reply: Reply, data: Data) -> int | None:
    try:
        return _read_stats(data.stats).samples.totalQueryableSamples
    except UNREADABLE:
        return None


PROMETHEUS = Dialect(form=b"&stats=all", series_read=_samples_read, marks=prometheus_marks)
"""Prometheus, and what answers as it does (Thanos, Mimir): without ``stats`` they are asked as if blind, and only
Prometheus itself is asked many questions at once."""
