"""Converts a server's series to the samples that are judged, one at a time, as they are consumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from math import inf, isfinite, nan

from candy_core import Sample
from candy_kit_promql.time_range import Reduce
from candy_kit_promql.wire import (
    HistogramPoint,
    MatrixSeries,
    Point,
    Series,
    read_histogram_points,
    read_labels,
    read_points,
)


class BadSampleError(ValueError):
    """A sample without a point, or whose text is not a number."""


def instance_of(labels: Mapping[str, str], label: str) -> str:
    """The name of a series: its ``label``, else all its labels in sorted order, ``""`` if it has none."""
    name = labels.get(label)
    if name:
        return name
    return ", ".join(f"{key}={labels[key]}" for key in sorted(labels) if key != "__name__")


def vector_samples(vector: Iterable[Series], label: str) -> Iterator[Sample]:
    """One sample for each series of an instant vector, in the server's order."""
    for series in vector:
        instance = instance_of(read_labels(series.metric), label)
        if series.value is not None:
            yield Sample(instance=instance, value=number(series.value.text), text=series.value.text)
        elif series.histogram is not None:
            yield _histogram(instance, series.histogram)
        else:
            raise BadSampleError("a series has neither value nor histogram")


def matrix_samples(matrix: Iterable[MatrixSeries], label: str, reduce: Reduce, until: float = inf) -> Iterator[Sample]:
    """One sample for each series of a matrix: its points up to ``until`` (Unix seconds), reduced to one value.

    ``last``, ``min`` and ``max`` keep the server's own text. With a NaN or a native histogram among the points every
    reduction but ``last`` and ``count`` gives NaN, which is within no threshold.
    """
    for series in matrix:
        instance = instance_of(read_labels(series.metric), label)
        values, histograms = read_points(series.values), read_histogram_points(series.histograms)
        if not values and not histograms:
            raise BadSampleError("a series has neither values nor histograms")
        _drop_after(values, until)
        _drop_after(histograms, until)
        if not values and not histograms:
            continue
        if reduce is Reduce.COUNT:
            count = len(values) + len(histograms)
            yield Sample(instance=instance, value=float(count), text=str(count))
        elif reduce is Reduce.LAST:
            if histograms and (not values or histograms[-1].time > values[-1].time):
                yield _histogram(instance, histograms[-1])
            else:
                yield Sample(instance=instance, value=number(values[-1].text), text=values[-1].text)
        elif histograms:
            yield _histogram(instance, histograms[-1])
        else:
            yield _reduced(instance, values, reduce)


def histograms_in(entries: Iterable[Series | MatrixSeries]) -> int:
    """How many of the series are native histograms."""
    return sum(
        1 for entry in entries if (entry.histogram if isinstance(entry, Series) else len(bytes(entry.histograms)) > 2)
    )


def number(text: str) -> float:
    """A value as the servers write it: ``1.5``, ``NaN``, ``+Inf``, ``-Inf``. Raises :class:`BadSampleError`."""
    try:
        return float(text)
    except ValueError:
        raise BadSampleError("a value is not a number") from None


def format_value(value: float) -> str:
    """A computed value in the servers' spelling: shortest digits, no exponent."""
    if isfinite(value):
        text = repr(value)
        return format(Decimal(text), "f") if "e" in text else text.removesuffix(".0")
    return "+Inf" if value == inf else "-Inf" if value == -inf else "NaN"


def _drop_after(points: list[Point] | list[HistogramPoint], until: float) -> None:
    while points and points[-1].time > until:
        points.pop()


def _histogram(instance: str, point: HistogramPoint) -> Sample:
    return Sample(
        instance=instance, value=nan, text=f"histogram(count={point.histogram.count}, sum={point.histogram.sum})"
    )


def _reduced(instance: str, points: list[Point], reduce: Reduce) -> Sample:
    numbers = [number(point.text) for point in points]
    not_a_number = next((point.text for point, value in zip(points, numbers, strict=True) if value != value), None)
    if not_a_number is not None:
        return Sample(instance=instance, value=nan, text=not_a_number)
    if reduce in (Reduce.MIN, Reduce.MAX):
        value = min(numbers) if reduce is Reduce.MIN else max(numbers)
        return Sample(instance=instance, value=value, text=points[numbers.index(value)].text)
    total = sum(numbers)
    value = total if reduce is Reduce.SUM else total / len(numbers)
    return Sample(instance=instance, value=value, text=format_value(value))
