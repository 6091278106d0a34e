"""From samples and thresholds to an outcome (contract section 3)."""

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
    """Compare every sample and say what was found, in the words of contract section 3.

    ``samples`` in the backend's order, read once. ``scalar``: the one sample is a bare number and no node.
    ``head`` are the first lines of ``details``. ``noun``, where the samples are no nodes, says what they are: one word
    in the locale's language, in the singular. ``partial`` says why the answer is known to be incomplete.

    What decides, first to last:

    1. ``critical``, then ``threshold``: the first that any sample breaches gives the status. The sentence, the list in
       ``details`` and ``stats["exceeding"]`` speak of that threshold alone.
    2. An incomplete answer has the reason ``partial_response`` even so, and is a warning at least. Without a breach the
       message says what is missing; with one, ``details`` does.
    3. NaN is within no threshold: a warning, ``not_a_number``, with or without thresholds. Where 1 or 2 decided,
       ``details`` still names the nodes.
    4. No sample at all: a warning, ``empty_result``. A caller that knows why there is none says so without asking here.

    ``value`` is the first sample's own text. ``stats``: ``series``; ``exceeding``; and, if any sample is a number,
    ``min``, ``max`` and ``worst``, the value that is farthest beyond the threshold or nearest to it: the lowest for a
    lower bound, else the highest. Infinite figures are the texts ``+Inf`` and ``-Inf``.

    A series without labels has ``{}`` for a name; where it is the only one, sentences speak of it as of a scalar.
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
    """What one pass over the samples shows. ``lowest`` and ``highest`` leave NaN out; infinite the wrong way round if
    there was nothing else."""

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
    grave: list[Sample] = []
    for sample in samples:
        if first is None:
            first = sample
        series += 1
        value = sample.value
        if value != value:  # NaN, without the price of a call for each of 200 000
            nans.append(sample)
            continue
        if value < lowest:
            lowest = value
        if value > highest:
            highest = value
        if critical is not None and critical.breach(value) is not None:
            grave.append(sample)
        if threshold is not None and threshold.breach(value) is not None:
            warning.append(sample)
    return _Survey(series, first, lowest, highest, nans, warning, grave)


def _stats(found: _Survey, limit: Threshold | None, ranking: Ranking | None) -> dict[str, Json]:
    stats: dict[str, Json] = {"series": found.series, "exceeding": 0 if ranking is None else ranking.count}
    if found.series > len(found.nans):
        stats["min"] = _figure(found.lowest)
        stats["max"] = _figure(found.highest)
        stats["worst"] = _figure(_nearest(found, limit) if ranking is None else ranking.worst.value)
    return stats


def _nearest(found: _Survey, limit: Threshold | None) -> float:
    """Of values that are all good, the one that is nearest to being bad."""
    if limit is not None and limit.lower_only:
        return found.lowest
    if limit is not None and limit.two_sided and limit.distance(found.lowest) > limit.distance(found.highest):
        return found.lowest
    return found.highest


def _figure(value: float) -> Json:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return value + 0.0  # no negative zero
