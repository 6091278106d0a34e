"""Judges samples with thresholds (contract section 3)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attrs import frozen

from candy_core.judging.item_sentences import empty_result, partial_response
from candy_core.judging.ranking import Ranking, Sample, rank
from candy_core.judging.threshold import Threshold
from candy_core.judging.wording import Wording
from candy_core.model.task import ItemStatus, Json, Locale, Outcome, Reason


def judge(
    samples: Iterable[Sample],
    *,
    scalar: bool,
    threshold: Threshold | None = None,
    critical: Threshold | None = None,
    locale: Locale,
    head: Sequence[str],
    noun: str | None = None,
    partial: str | None = None,
) -> Outcome:
    """Compare every sample with the thresholds and return the outcome, with the sentences of contract section 3.

    ``samples`` are in the backend's order and read once. ``scalar``: the only sample is a number without a node.
    ``head`` are the first lines of ``details``. ``noun`` is the word for samples that are not nodes, in the locale's
    language and in the singular. ``partial`` is the reason why the response is known to be incomplete.

    The status and the reason depend on, in this order:

    1. ``critical``, then ``threshold``: the first that a sample breaches determines the status. The sentence, the list
       in ``details`` and ``stats["exceeding"]`` are about that threshold only.
    2. An incomplete response always has the reason ``partial_response`` and is at least a warning. Without a breach the
       message says what is missing, else ``details`` does.
    3. NaN is a warning, ``not_a_number``, with or without thresholds. If 1 or 2 applies, ``details`` still names the
       nodes.
    4. No sample is a warning, ``empty_result``. A caller that knows the cause returns its own outcome instead.

    ``value`` is the text of the first sample. ``stats`` has ``series``, ``exceeding`` and, if any sample is a number,
    ``min``, ``max`` and ``worst``: the value that is farthest beyond the threshold or nearest to it. For a lower limit
    that is the lowest, else the highest. Infinities are the strings ``+Inf`` and ``-Inf``.

    The name of a series without labels is ``{}``. If it is the only series, sentences treat it as a scalar.
    """
    found = _survey(samples, threshold, critical)
    if found.critical:
        status, limit, hits = ItemStatus.CRITICAL, critical, found.critical
    elif found.warning:
        status, limit, hits = ItemStatus.WARNING, threshold, found.warning
    else:
        status, limit, hits = ItemStatus.NORMAL, threshold if threshold is not None else critical, []
    named = not (scalar or (found.first is not None and found.series == 1 and not found.first.instance))
    wording = Wording(locale=locale, noun=noun, named=named)
    ranking: Ranking | None = None
    blocks = ["\n".join(head)] if head else []
    if limit is not None and hits:
        reason = Reason.THRESHOLD_EXCEEDED
        ranking = rank(hits, limit)
        message = wording.breached(ranking, limit)
        if not scalar:
            blocks.append(wording.breach_list(ranking))
    elif found.first is None:
        status, reason, message = ItemStatus.WARNING, Reason.EMPTY_RESULT, empty_result(locale)
    elif found.nans:
        status, reason, message = ItemStatus.WARNING, Reason.NOT_A_NUMBER, wording.not_a_number(found.nans)
    else:
        reason = Reason.OK
        message = "" if limit is None else wording.within(found.first, limit)
    if found.nans and not scalar:
        blocks.append(wording.nan_list(found.nans))
    if partial is not None:
        reason = Reason.PARTIAL_RESPONSE
        if ranking is None:
            status, message = ItemStatus.WARNING, partial_response(locale, partial)
        else:
            blocks.append(partial_response(locale, partial))
    return Outcome(
        status=status,
        reason=reason,
        value="" if found.first is None else found.first.text,
        message=message,
        details="\n\n".join(blocks),
        stats=_stats(found, limit, ranking),
    )


@frozen
class _Survey:
    """The findings of one pass over the samples. ``lowest`` and ``highest`` ignore NaN, and are ``inf`` and ``-inf`` if
    there is no number."""

    series: int
    first: Sample | None
    lowest: float
    highest: float
    nans: list[Sample]
    warning: list[Sample]
    critical: list[Sample]


def _survey(samples: Iterable[Sample], threshold: Threshold | None, critical: Threshold | None) -> _Survey:
    series = 0
    first: Sample | None = None
    lowest, highest = math.inf, -math.inf
    nans: list[Sample] = []
    warning: list[Sample] = []
    critical_hits: list[Sample] = []
    for sample in samples:
        if first is None:
            first = sample
        series += 1
        value = sample.value
        if value != value:  # NaN; a call for each of 200 000 samples would be slow
            nans.append(sample)
            continue
        if value < lowest:
            lowest = value
        if value > highest:
            highest = value
        if critical is not None and critical.breach(value) is not None:
            critical_hits.append(sample)
        if threshold is not None and threshold.breach(value) is not None:
            warning.append(sample)
    return _Survey(series, first, lowest, highest, nans, warning, critical_hits)


def _stats(found: _Survey, limit: Threshold | None, ranking: Ranking | None) -> dict[str, Json]:
    stats: dict[str, Json] = {"series": found.series, "exceeding": 0 if ranking is None else ranking.count}
    if found.series > len(found.nans):
        stats["min"] = _figure(found.lowest)
        stats["max"] = _figure(found.highest)
        stats["worst"] = _figure(_nearest(found, limit) if ranking is None else ranking.worst.value)
    return stats


def _nearest(found: _Survey, limit: Threshold | None) -> float:
    """The good value that is nearest to the threshold."""
    if limit is not None and limit.lower_only:
        return found.lowest
    if limit is not None and limit.two_sided and limit.distance(found.lowest) > limit.distance(found.highest):
        return found.lowest
    return found.highest


def _figure(value: float) -> Json:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return value + 0.0  # no negative zero
