"""Ranks the samples that breach a threshold."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from attrs import frozen

from candy_core.judging.threshold import Breach, Threshold

MAX_NAMED = 100
"""The maximum of nodes that ``details`` names; the others are only counted (contract section 3)."""


@frozen(kw_only=True)
class Sample:
    """One value to judge. ``instance`` is its source, ``text`` the value as the backend wrote it.

    ``instance`` is ``""`` for a series without labels and for a scalar.
    """

    instance: str
    value: float
    text: str


@frozen
class Ranking:
    """The samples that breach one threshold.

    ``listed`` are the worst :data:`MAX_NAMED` of ``count``, worst first, ties by name. ``side`` is the side of all of
    them. If some are above a range and some below, it is ``None``, and ``highest`` and ``lowest`` are the extremes.
    """

    count: int
    listed: Sequence[Sample]
    side: Breach | None
    highest: Sample
    lowest: Sample

    @property
    def worst(self) -> Sample:
        """The sample that is farthest beyond the threshold."""
        return self.listed[0]


def rank(hits: Sequence[Sample], limit: Threshold) -> Ranking:
    """Rank ``hits``, at least one sample, all of which breach ``limit``."""
    if len(hits) == 1:
        only = hits[0]
        return Ranking(1, hits, limit.breach(only.value), only, only)
    side = limit.breach(hits[0].value)
    if limit.two_sided and any(limit.breach(sample.value) is not side for sample in hits):
        return Ranking(
            len(hits),
            _worst_first(hits, lambda sample: (-limit.distance(sample.value), sample.instance, sample.value)),
            None,
            min(hits, key=_high_first),
            min(hits, key=_low_first),
        )
    listed = _worst_first(hits, _low_first if side is Breach.BELOW else _high_first)
    return Ranking(len(hits), listed, side, listed[0], listed[0])


def _high_first(sample: Sample) -> tuple[float, str]:
    return -sample.value, sample.instance


def _low_first(sample: Sample) -> tuple[float, str]:
    return sample.value, sample.instance


def _worst_first(hits: Sequence[Sample], key: Callable[[Sample], tuple[object, ...]]) -> list[Sample]:
    return heapq.nsmallest(MAX_NAMED, hits, key)
