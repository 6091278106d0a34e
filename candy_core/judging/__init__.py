"""What a value means: thresholds, verdicts, and their sentences in two languages (contract section 3).

Import with ``from candy_core.judging import ...``: as an attribute of ``candy_core``, ``judge`` is the function.
"""

from candy_core.judging import item_sentences
from candy_core.judging.ranking import Sample
from candy_core.judging.sentences import Catalogue, sentence
from candy_core.judging.threshold import Breach, Threshold
from candy_core.judging.verdict import judge

__all__ = ["Breach", "Catalogue", "Sample", "Threshold", "item_sentences", "judge", "sentence"]
