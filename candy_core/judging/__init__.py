"""Judges values: thresholds, verdicts, and their sentences in two languages (contract section 3).

:func:`judge` compares samples with thresholds and returns an outcome. :class:`Threshold` reads the thresholds of item
params. :mod:`~candy_core.judging.item_sentences` has the sentences for items that could not be judged, and
:class:`Catalogue` reads the message catalogue of a plugin.
"""

from candy_core.judging import item_sentences
from candy_core.judging.ranking import Sample
from candy_core.judging.sentences import Catalogue, sentence
from candy_core.judging.threshold import Breach, Threshold
from candy_core.judging.verdict import judge

__all__ = ["Breach", "Catalogue", "Sample", "Threshold", "item_sentences", "judge", "sentence"]
