"""Many queries as one: each result gets a label with its query's number, by which the answer is split again.

``label_replace(Q1, LABEL, "0", "", "") or label_replace(Q2, LABEL, "1", "", "")``: the label makes the sides of an
``or`` disjoint, so that it drops nothing, and ``label_replace`` keeps names, values and order.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote_plus

from msgspec import Raw, json

from candy_kit_promql.wire import Series, read_labels

LABEL: Final = f"candy_item_{secrets.token_hex(4)}"
"""The label's name: random for each process, so that no series and no query has it already."""

OVERHEAD = len(f'label_replace(,"{LABEL}","9999","","") or ()')
"""Characters that a query adds to its own length."""

_ESCAPED = {sign: f"%{ord(sign):02X}" for sign in "%&+;#\n"} | {" ": "+"}  # the percent sign first, the space last
_PLAIN = re.compile(r"[ -~\n]*")

SortKey = Callable[[dict[str, str]], object]
"""From a series' labels to the key by which a server sorts its answers."""


class BatchLabelError(ValueError):
    """A series of a batch's answer has no label, or one with a number that no query has."""


def batch_query(queries: Sequence[str]) -> str:
    """One query for all of them. A balanced tree: each ``or`` looks at every series of both of its sides."""
    return _tree([f'label_replace({query},"{LABEL}","{number}","","")' for number, query in enumerate(queries)])


def form_encoded(query: str) -> str:
    """A query as a form's value: half as long as from ``quote_plus``, since a batch has thousands of quotes."""
    if not _PLAIN.fullmatch(query):
        return quote_plus(query)
    for sign, escaped in _ESCAPED.items():
        query = query.replace(sign, escaped)
    return query


def _tree(operands: Sequence[str]) -> str:
    if len(operands) == 1:
        return operands[0]
    middle = len(operands) // 2
    return f"({_tree(operands[:middle])} or {_tree(operands[middle:])})"


def split(vector: Sequence[Series], count: int, sort_key: SortKey | None = None) -> list[list[Series]]:
    """The series of each of ``count`` queries, without the label.

    With ``sort_key`` each list is sorted as the server would have sorted the query's own answer. Raises
    :class:`BatchLabelError`, or one of ``wire.UNREADABLE``.
    """
    found: list[list[tuple[object, Series]]] = [[] for _ in range(count)]
    for series in vector:
        labels = read_labels(series.metric)
        number = labels.pop(LABEL, "")
        if not number.isdecimal() or int(number) >= count:
            raise BatchLabelError("a series without the label of a query")
        bare = Series(metric=Raw(json.encode(labels)), value=series.value, histogram=series.histogram)
        found[int(number)].append((None if sort_key is None else sort_key(labels), bare))
    if sort_key is not None:
        for some in found:
            some.sort(key=lambda pair: pair[0])  # type: ignore[arg-type, return-value]  # keys of one function
    return [[series for _, series in some] for some in found]
