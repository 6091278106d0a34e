"""Ways to find out from a server which selectors match no series."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote_plus

from attrs import frozen

from candy_core import Reason
from candy_kit_promql.client import Endpoint
from candy_kit_promql.failure import QueryFailed, unreadable
from candy_kit_promql.large_answer import LargeAnswerLock
from candy_kit_promql.selectors import LOOKBACK, Selector
from candy_kit_promql.wire import UNREADABLE, read_data, read_labels, read_vector

_MAX_SELECTORS = 50
"""Selectors in one query: enough for any real one, and short enough for any server."""

_LABEL = "candy_selector"


@frozen
class _Probe:
    """``time`` is the query's instant, ``seconds`` the time limit of each request."""

    endpoint: Endpoint
    time: float
    seconds: float
    lock: LargeAnswerLock


@frozen
class CountProbe(_Probe):
    """Counts each selector's series in one query at the same instant: it finds what the query itself would find.

    ``form`` is appended to the query's form, as in :class:`~candy_kit_promql.dialect.Dialect`.
    """

    form: bytes = b""

    async def __call__(self, selectors: Sequence[Selector]) -> list[Selector]:
        """See :class:`~candy_kit_promql.emptiness.AbsenceProbe`."""
        missing: list[Selector] = []
        for start in range(0, len(selectors), _MAX_SELECTORS):
            some = selectors[start : start + _MAX_SELECTORS]
            present = await self._present(some)
            missing += [selector for index, selector in enumerate(some) if str(index) not in present]
        return missing

    async def _present(self, selectors: Sequence[Selector]) -> set[str]:
        query = " or ".join(
            f'label_replace(count({selector.expression()}), "{_LABEL}", "{index}", "", "")'
            for index, selector in enumerate(selectors)
        )
        form = f"query={quote_plus(query)}&time={self.time:.3f}".encode() + self.form
        reply, _ = await self.endpoint.request(self.endpoint.query_url, form, self.seconds, self.lock)
        try:
            vector = read_vector(read_data(reply.data).result)
            return {read_labels(series.metric).get(_LABEL, "") for series in vector}
        except UNREADABLE as error:
            raise unreadable(error) from None


@frozen
class SeriesProbe(_Probe):
    """Looks each selector up once in ``/api/v1/series`` with limit 1, for a server without counts (section 3)."""

    async def __call__(self, selectors: Sequence[Selector]) -> list[Selector]:
        """See :class:`~candy_kit_promql.emptiness.AbsenceProbe`."""
        return [selector for selector in selectors if not await self._exists(selector)]

    async def _exists(self, selector: Selector) -> bool:
        end = (self.time if selector.at is None else selector.at) - selector.offset
        start = end - (LOOKBACK if selector.window is None else selector.window)
        form = f"match[]={quote_plus(selector.text)}&start={start:.3f}&end={end:.3f}&limit=1".encode()
        try:
            reply, _ = await self.endpoint.request(self.endpoint.series_url, form, self.seconds, self.lock)
        except QueryFailed as failure:
            if failure.reason is Reason.TOO_LARGE:  # the server ignores the limit, and there are many
                return True
            raise
        return bytes(reply.data).strip() != b"[]"


@frozen
class BlindProbe(CountProbe):
    """For a server that reports no counts: :class:`SeriesProbe`, and then a count of the series it found.

    ``/api/v1/series`` works by whole days or blocks, so it also finds series that ended hours ago. The last samples of
    a node that is down do not make an empty answer ``normal``.
    """

    async def __call__(self, selectors: Sequence[Selector]) -> list[Selector]:
        """See :class:`~candy_kit_promql.emptiness.AbsenceProbe`."""
        looked_up = SeriesProbe(self.endpoint, self.time, self.seconds, self.lock)
        missing = await looked_up(selectors)
        missing += await CountProbe.__call__(self, [selector for selector in selectors if selector not in missing])
        return [selector for selector in selectors if selector in missing]
