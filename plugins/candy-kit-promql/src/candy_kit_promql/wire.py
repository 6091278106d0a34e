"""The answers of Prometheus' query API, read into records that take little memory.

Labels stay as the bytes of the answer until they are needed, so that 200 000 series take 45 MB instead of 200. Unknown
keys are ignored; a value of the wrong type raises :class:`msgspec.ValidationError`, any other unreadable input one of
:data:`UNREADABLE`.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import MsgspecError, Raw, Struct, json

Buffer: TypeAlias = bytes | bytearray

UNREADABLE = (MsgspecError, UnicodeDecodeError, RecursionError)
"""What a reader raises for bytes that are not JSON, not UTF-8, nested too deep, or of another shape."""

_NULL = Raw(b"null")
_NONE = Raw(b"[]")


class Point(Struct, array_like=True, gc=False):
    """``[1795414862.209, "1"]``: Unix seconds, and the value as the server's own text."""

    time: float
    text: str


class Histogram(Struct, gc=False):
    """A native histogram, without its buckets."""

    count: str
    sum: str


class HistogramPoint(Struct, array_like=True, gc=False):
    """``[1795414862.209, {…}]``."""

    time: float
    histogram: Histogram


class Series(Struct, gc=False):
    """One entry of a ``vector``."""

    metric: Raw
    value: Point | None = None
    histogram: HistogramPoint | None = None


class MatrixSeries(Struct, gc=False):
    """One entry of a ``matrix``: a series over time. Its points are read when it is judged, and not kept."""

    metric: Raw
    values: Raw = _NONE
    histograms: Raw = _NONE


class QueryData(Struct, gc=False):
    """The ``data`` of a query's answer. ``result`` is read once ``resultType`` is known, whichever came first."""

    resultType: str  # noqa: N815  # the server's spelling
    result: Raw
    stats: Raw = _NULL


class Reply(Struct, gc=False):
    """The envelope of every answer. ``data`` is :class:`QueryData` for a query, a list for ``/api/v1/series``."""

    status: str
    data: Raw = _NULL
    errorType: str | None = None  # noqa: N815  # the server's spelling
    error: str | None = None
    warnings: Raw = _NULL
    isPartial: bool = False  # noqa: N815  # VictoriaMetrics' spelling
    stats: Raw = _NULL


read_reply = json.Decoder(Reply).decode
read_data = json.Decoder(QueryData).decode
read_vector = json.Decoder(list[Series]).decode
read_matrix = json.Decoder(list[MatrixSeries]).decode
read_point = json.Decoder(Point).decode
read_points = json.Decoder(list[Point]).decode
read_histogram_points = json.Decoder(list[HistogramPoint]).decode
read_warnings = json.Decoder(list[str] | None).decode
read_labels = json.Decoder(dict[str, str]).decode
