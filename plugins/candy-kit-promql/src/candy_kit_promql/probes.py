"""Ways of asking a server which selectors have nothing."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote_plus

from attrs import frozen

from candy_core import Reason
from candy_kit_promql.client import Endpoint
from candy_kit_promql.failure import QueryFailed, unreadable
from candy_kit_promql.large import Turn
from candy_kit_promql.selectors import LOOKBACK, Selector
from candy_kit_promql.wire import UNREADABLE, read_data, read_labels, read_vector

_AT_ONCE = 50
"""Selectors in one query: enough for any honest one, and short enough for any server."""

_MARK = "candy_selector"


@frozen
class _Probe:
    """At which instant, and for how many ``seconds`` at most, an endpoint is asked."""

    endpoint: Endpoint
    time: float
    seconds: float
    turn: Turn


@frozen
class CountProbe(_Probe):
    """Asks one query that counts what each selector has, to the sample: it sees what the query itself would see.

    ``form`` is what the server's :class:`~candy_kit_promql.dialect.Dialect` adds to the form of every query.
    """

    form: bytes = b""

    async def __call__(self, selectors: Sequence[Selector]) -> list[Selector]:
        """See :class:`~candy_kit_promql.emptiness.AbsenceProbe`."""
        missing: list[Selector] = []
        for start in range(0, len(selectors), _AT_ONCE):
            some = selectors[start : start + _AT_ONCE]
            present = await self._present(some)
            missing += [selector for index, selector in enumerate(some) if str(index) not in present]
        return missing

    async def _present(self, selectors: Sequence[Selector]) -> set[str]:
        query = " or ".join(
            f'label_replace(count({selector.expression()}), "{_MARK}", "{index}", "", "")'
            for index, selector in enumerate(selectors)
        )
        form = f"query={quote_plus(query)}&time={self.time:.3f}".encode() + self.form
        reply, _ = await self.endpoint.ask(self.endpoint.query_url, form, self.seconds, self.turn)
        try:
            vector = read_vector(read_data(reply.data).result)
            return {read_labels(series.metric).get(_MARK, "") for series in vector}
        except UNREADABLE as error:
            raise unreadable(error) from None


@frozen
class SeriesProbe(_Probe):
    """Asks ``/api/v1/series`` for each selector once, with limit 1, for a server that tells no counts (section 3)."""

    async def __call__(self, selectors: Sequence[Selector]) -> list[Selector]:
        """See :class:`~candy_kit_promql.emptiness.AbsenceProbe`."""
        return [selector for selector in selectors if not await self._exists(selector)]

    async def _exists(self, selector: Selector) -> bool:
        end = (self.time if selector.at is None else selector.at) - selector.offset
        start = end - (LOOKBACK if selector.window is None else selector.window)
        form = f"match[]={quote_plus(selector.text)}&start={start:.3f}&end={end:.3f}&limit=1".encode()
        try:
            reply, _ = await self.endpoint.ask(self.endpoint.series_url, form, self.seconds, self.turn)
        except QueryFailed as failure:
            if failure.reason is Reason.TOO_LARGE:  # a server that knows no limit: there are more than enough
                return True
            raise
        # Read no further than to tell an empty list from another.
        return bytes(reply.data).strip() != b"[]"


@frozen
class BlindProbe(CountProbe):
    """For a server that tells no counts: :class:`SeriesProbe`, and a count of what that finds.

    ``/api/v1/series`` knows whole days or blocks, and so also series that ended hours ago: what a node was measured at
    before it died is no sign that all is well.
    """

    async def __call__(self, selectors: Sequence[Selector]) -> list[Selector]:
        """See :class:`~candy_kit_promql.emptiness.AbsenceProbe`."""
        looked_up = SeriesProbe(self.endpoint, self.time, self.seconds, self.turn)
        missing = await looked_up(selectors)
        missing += await CountProbe.__call__(self, [selector for selector in selectors if selector not in missing])
        return [selector for selector in selectors if selector in missing]
