"""The sentences of verdicts and the lists in ``details`` (contract section 3)."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence

from attrs import frozen

from candy_core.judging.ranking import MAX_NAMED, Ranking, Sample
from candy_core.judging.sentences import sentence
from candy_core.judging.threshold import Breach, Threshold
from candy_core.model.task import Locale


def number(value: float) -> str:
    """The ``{v}`` of sentences: ``%.2f``, or ``+Inf``, ``-Inf``, ``NaN``."""
    if math.isfinite(value):
        return f"{value + 0.0:.2f}"  # no negative zero
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


@frozen(kw_only=True)
class Wording:
    """The wording of one verdict.

    ``noun`` is the word for the samples, ``None`` for nodes. ``named`` is whether they have names.
    """

    locale: Locale
    noun: str | None
    named: bool

    def breached(self, ranking: Ranking, limit: Threshold) -> str:
        """The sentence for samples beyond ``limit``."""
        t, v, inst = limit.shown, number(ranking.worst.value), _name(ranking.worst)
        locale = self.locale
        if not self.named:
            match ranking.side:
                case Breach.BELOW:
                    return sentence(locale, "The value {v} is below the threshold {t}", v=v, t=t)
                case Breach.OTHER:
                    return sentence(locale, "The value {v} breaches the threshold {t}", v=v, t=t)
                case _:
                    return sentence(locale, "The value {v} exceeds the threshold {t}", v=v, t=t)
        noun, nouns = self._nouns()
        if ranking.count == 1:
            match ranking.side:
                case Breach.BELOW:
                    msgid = _("The value {v} of {noun} {inst} is below the threshold {t}")
                case Breach.OTHER:
                    msgid = _("The value {v} of {noun} {inst} breaches the threshold {t}")
                case _:
                    msgid = _("The value {v} of {noun} {inst} exceeds the threshold {t}")
            return sentence(locale, msgid, v=v, noun=noun, inst=inst, t=t)
        n = ranking.count
        match ranking.side:
            case None:
                return sentence(
                    locale,
                    "{n} {nouns} are outside the threshold {t}; the highest value is {v} of {inst},"
                    " the lowest {low} of {low_inst}",
                    n=n,
                    nouns=nouns,
                    t=t,
                    v=number(ranking.highest.value),
                    inst=_name(ranking.highest),
                    low=number(ranking.lowest.value),
                    low_inst=_name(ranking.lowest),
                )
            case Breach.BELOW:
                msgid = _("{n} {nouns} are below the threshold {t}; the lowest value is {v} of {inst}")
            case Breach.OTHER:
                msgid = _("{n} {nouns} breach the threshold {t}; the highest value is {v} of {inst}")
            case Breach.ABOVE:
                msgid = _("{n} {nouns} exceed the threshold {t}; the highest value is {v} of {inst}")
        return sentence(locale, msgid, n=n, nouns=nouns, t=t, v=v, inst=inst)

    def within(self, first: Sample, limit: Threshold) -> str:
        """The sentence if no sample is beyond ``limit``."""
        if not self.named:
            return sentence(
                self.locale, "The value {v} is within the threshold {t}", v=number(first.value), t=limit.shown
            )
        return sentence(
            self.locale, "The values of all {nouns} are within the threshold {t}", nouns=self._nouns()[1], t=limit.shown
        )

    def not_a_number(self, nans: Sequence[Sample]) -> str:
        """The sentence for values that are NaN."""
        if not self.named:
            return sentence(self.locale, "The value is not a number (NaN)")
        noun, nouns = self._nouns()
        if len(nans) == 1:
            return sentence(
                self.locale, "The value of {noun} {inst} is not a number (NaN)", noun=noun, inst=_name(nans[0])
            )
        return sentence(self.locale, "The values of {n} {nouns} are not numbers (NaN)", n=len(nans), nouns=nouns)

    def breach_list(self, ranking: Ranking) -> str:
        """The heading, one line ``{inst} ({v})`` for each, and the number of further ones."""
        if ranking.side is Breach.BELOW:
            heading = sentence(self.locale, "{Nouns} below the threshold:", Nouns=self._heading())
        else:
            heading = sentence(self.locale, "{Nouns} beyond the threshold:", Nouns=self._heading())
        lines = (f"{_name(sample)} ({number(sample.value)})" for sample in ranking.listed)
        return self._list(heading, lines, ranking.count)

    def nan_list(self, nans: Sequence[Sample]) -> str:
        """The heading, the sorted names of samples that are NaN, and the number of further ones."""
        heading = sentence(self.locale, "{Nouns} whose value is not a number (NaN):", Nouns=self._heading())
        return self._list(heading, heapq.nsmallest(MAX_NAMED, map(_name, nans)), len(nans))

    def _list(self, heading: str, lines: Iterable[str], count: int) -> str:
        block = [heading, *lines]
        if count > MAX_NAMED:
            block.append(sentence(self.locale, "and {n} more", n=count - MAX_NAMED))
        return "\n".join(block)

    def _nouns(self) -> tuple[str, str]:
        """The singular and the plural, which are equal in Chinese."""
        noun = self.noun if self.noun is not None else sentence(self.locale, "node")
        return noun, f"{noun}s" if self.locale is Locale.EN else noun

    def _heading(self) -> str:
        nouns = self._nouns()[1]
        return nouns[:1].upper() + nouns[1:]


def _(msgid: str) -> str:
    """Marks a msgid for the catalogue, for a later call of :func:`sentence`."""
    return msgid


def _name(sample: Sample) -> str:
    return sample.instance or "{}"
