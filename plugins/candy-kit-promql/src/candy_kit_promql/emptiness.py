"""Why an answer holds no series (contract section 3, "Empty").

An empty answer is ``normal`` if series were read and the query's own filter dropped them all, and a warning if a
selector matches no series. ``a + b`` reads samples of ``a`` and is empty if ``b`` is missing. So a count above zero is
proof only for a query with one selector; otherwise each selector is probed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import Factory, frozen

from candy_core import ItemStatus, Reason
from candy_kit_promql import texts
from candy_kit_promql.failure import QueryFailed
from candy_kit_promql.selectors import Selection, Selector

MAX_NAMED = 10
"""How many absent selectors a sentence names."""


class AbsenceProbe(Protocol):
    """Finds out which selectors match no series at the instant of a query."""

    async def __call__(self, selectors: Sequence[Selector]) -> list[Selector]:
        """Those of ``selectors`` that match no series at all. Raises :class:`QueryFailed` if the server cannot say."""
        ...


@frozen(kw_only=True)
class Emptiness:
    """An explanation; ``msgid`` and ``values`` make its sentence."""

    status: ItemStatus
    reason: Reason
    msgid: str
    values: Mapping[str, object] = Factory(dict)


FILTERED = Emptiness(status=ItemStatus.NORMAL, reason=Reason.EMPTY_RESULT, msgid=texts.FILTERED)
SELECTS_NONE = Emptiness(status=ItemStatus.NORMAL, reason=Reason.EMPTY_RESULT, msgid=texts.SELECTS_NONE)
UNEXPLAINED = Emptiness(status=ItemStatus.WARNING, reason=Reason.EMPTY_RESULT, msgid=texts.UNEXPLAINED)
UNKNOWN = Emptiness(status=ItemStatus.WARNING, reason=Reason.EMPTY_RESULT, msgid=texts.UNKNOWN)


async def explain(selection: Selection | None, read: int | None, probe: AbsenceProbe) -> Emptiness:
    """Say why an answer is empty.

    ``read`` is how many samples or series the server says it read, ``None`` if it does not say. In this order:

    1. The query's selectors are unknown: ``normal`` if something was read, else the cause is unknown.
    2. No selector must have series: ``normal``.
    3. A selector that must have series has none: ``series_absent``.
    4. All have series, and the query has a filter: ``normal``. Without a filter there is another cause (a rate over
       too short a window, labels that do not match): a warning, ``empty_result``.
    """
    if selection is None:
        return FILTERED if read else UNKNOWN
    if not selection.needed:
        return FILTERED if selection.optional else SELECTS_NONE
    if read == 0 and not selection.subqueries:
        return _absent(selection.needed)
    if not read or selection.subqueries or selection.optional or len(selection.needed) > 1:
        try:
            missing = await probe(selection.needed)
        except QueryFailed:
            return UNKNOWN
        if missing:
            return _absent(missing)
    return FILTERED if selection.filters else UNEXPLAINED


def _absent(selectors: Sequence[Selector]) -> Emptiness:
    named = ", ".join(dict.fromkeys(selector.text for selector in selectors[:MAX_NAMED]))
    more = len(selectors) - MAX_NAMED
    listed = named if more <= 0 else f"{named} … (+{more})"
    return Emptiness(
        status=ItemStatus.WARNING, reason=Reason.SERIES_ABSENT, msgid=texts.ABSENT, values={"selectors": listed}
    )
