"""How long to wait before the next attempt: the one formula that everything uses that tries again."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from attrs import field, frozen


@frozen(kw_only=True)
class Backoff:
    """Exponential backoff with jitter; times in seconds.

    The nominal delay is ``first``, doubled with each further failure, at most ``longest``. The actual one is drawn by
    ``uniform`` from the nominal one times the two factors of ``jitter``, but never below ``shortest``.
    """

    first: float
    longest: float = math.inf
    shortest: float = 0.0
    jitter: tuple[float, float] = (1.0, 1.0)
    uniform: Callable[[float, float], float] = field(default=random.uniform, repr=False)

    def delay(self, failures: int) -> float:
        """Seconds to wait after ``failures`` in a row; none counts as one."""
        nominal = min(self.first * 2.0 ** min(max(failures, 1) - 1, 30), self.longest)
        least, most = self.jitter
        return self.uniform(max(self.shortest, nominal * least), nominal * most)
