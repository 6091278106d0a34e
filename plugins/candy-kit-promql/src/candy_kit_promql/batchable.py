"""Which queries may share a request with others.

Only those that certainly give an instant vector, whatever the server's version. All others are queried individually.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import lru_cache
from typing import Any

from candy_kit_promql.parsing import parse_query

MAX_QUERY = 2000
"""Characters of a query in a batch."""

_ORDERING = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_AMBIGUOUS = frozenset("#`")
"""What parsers read differently: where a comment ends, and strings without escapes."""


class Batchable(Enum):
    """Whether a query may be part of a batch."""

    NO = auto()
    """It is queried individually."""
    YES = auto()
    UNSORTED = auto()
    """Yes, but a server that sorts its answers does not sort this one (``a or b``)."""


@lru_cache(maxsize=8192)
def batchable(query: str) -> Batchable:
    """Whether a query may be part of a batch. Imports the parser when it is first called; takes about 10 µs."""
    if len(query) > MAX_QUERY or _AMBIGUOUS.intersection(query) or not query.replace("\n", " ").isprintable():
        return Batchable.NO
    try:
        parser, tree = parse_query(query)
    except ValueError:
        return Batchable.NO
    while isinstance(tree, parser.ParenExpr):
        tree = tree.expr
    if not _is_vector(parser, tree):
        return Batchable.NO
    if isinstance(tree, parser.Call) and tree.func.name.startswith("sort"):
        return Batchable.NO
    if isinstance(tree, parser.AggregateExpr) and str(tree.op) in _ORDERING:
        return Batchable.NO
    unsorted = isinstance(tree, parser.BinaryExpr) and str(tree.op) == "or"
    return Batchable.UNSORTED if unsorted else Batchable.YES


def _is_vector(parser: Any, node: Any) -> bool:  # the module: its stubs leave operands as Any
    match node:
        case parser.VectorSelector() | parser.AggregateExpr():
            return True
        case parser.Call():
            return bool(node.func.return_type == parser.ValueType.Vector)
        case parser.ParenExpr() | parser.UnaryExpr():
            return _is_vector(parser, node.expr)
        case parser.BinaryExpr():
            return _is_vector(parser, node.lhs) or _is_vector(parser, node.rhs)
    return False
