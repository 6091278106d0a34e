"""Which series a query selects, and whether it may leave some of them out of its result."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from candy_kit_promql.parsing import parse_query

if TYPE_CHECKING:
    import promql_parser

LOOKBACK = 300.0
"""Seconds for which a sample counts: Prometheus' default."""

_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_SETS = frozenset({"and", "unless"})
_ABSENCE = frozenset({"absent", "absent_over_time"})
_LIMITING = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})


@frozen(kw_only=True)
class Selector:
    """One selector of a query. ``text`` is its name and matchers; times are in seconds.

    It selects samples of the last ``window`` before its instant (``None``: an instant selector of the query itself,
    with the server's own lookback). The instant is ``at``, or else the query's own, less ``offset``.
    """

    text: str
    window: float | None = None
    offset: float = 0.0
    at: float | None = None

    def widened(self, seconds: float) -> Selector:
        """The same with a window that is longer by ``seconds``, as in a range query."""
        if self.at is not None:
            return self
        return evolve(self, window=(LOOKBACK if self.window is None else self.window) + seconds)

    def expression(self) -> str:
        """An instant vector in PromQL that is empty if and only if the selector matches no samples."""
        window = "" if self.window is None else f"[{round(self.window * 1000)}ms]"
        offset = f" offset {round(self.offset * 1000)}ms" if self.offset else ""
        at = "" if self.at is None else f" @ {self.at:.3f}"
        whole = f"{self.text}{window}{offset}{at}"
        return f"present_over_time({whole})" if window else whole


@frozen(kw_only=True)
class Selection:
    """What a query selects.

    ``needed`` are the selectors, each once, whose absence may leave the result empty. ``optional``: there are others,
    under ``absent()`` or on the right of ``unless``, where no series is the desired state. ``filters``: the query has
    an operator that may drop series (a comparison without ``bool``, ``and``, ``unless``, ``absent``, ``topk`` …).
    ``subqueries``: it has subqueries, whose samples Prometheus does not always count.
    """

    needed: tuple[Selector, ...] = ()
    optional: bool = False
    filters: bool = False
    subqueries: bool = False

    def widened(self, seconds: float) -> Selection:
        """The same, for a range query that reaches ``seconds`` back."""
        return evolve(self, needed=tuple(selector.widened(seconds) for selector in self.needed))


def selection_of(query: str) -> Selection | None:
    """The selectors of a query; ``None`` if it cannot be parsed: another dialect, a newer syntax, too long a query."""
    try:
        parser, tree = parse_query(query)
        walk = _Walk(parser)
        walk.visit(tree, _Context())
    except (ValueError, TypeError, OverflowError, _UnknownNodeError):
        return None
    return Selection(
        needed=tuple(walk.needed), optional=walk.optional, filters=walk.filters, subqueries=walk.subqueries
    )


class _UnknownNodeError(Exception):
    """The query has a node of an unknown kind."""


@frozen(kw_only=True)
class _Context:
    """What surrounds a node: subqueries that reach ``window`` back, from ``offset`` ago, and optional operands."""

    optional: bool = False
    window: float | None = None
    offset: float = 0.0


@define
class _Walk:
    parser: Any  # the module: its stubs leave operands as Any
    needed: dict[Selector, None] = field(factory=dict)
    optional: bool = False
    filters: bool = False
    subqueries: bool = False

    def visit(self, node: Any, context: _Context) -> None:
        parser = self.parser
        match node:
            case parser.NumberLiteral() | parser.StringLiteral() | None:
                pass
            case parser.ParenExpr() | parser.UnaryExpr():
                self.visit(node.expr, context)
            case parser.VectorSelector():
                self.select(node, None, context)
            case parser.MatrixSelector():
                self.select(node.vector_selector, node.range.total_seconds(), context)
            case parser.AggregateExpr():
                self.filters |= str(node.op) in _LIMITING
                self.visit(node.param, context)
                self.visit(node.expr, context)
            case parser.Call():
                absence = node.func.name in _ABSENCE
                self.filters |= absence
                for argument in node.args:
                    self.visit(argument, evolve(context, optional=context.optional or absence))
            case parser.BinaryExpr():
                self.binary(node, context)
            case parser.SubqueryExpr():
                self.subquery(node, context)
            case _:
                raise _UnknownNodeError

    def binary(self, node: promql_parser.BinaryExpr, context: _Context) -> None:
        operator = str(node.op)
        returns_bool = node.modifier is not None and node.modifier.return_bool
        self.filters |= operator in _SETS or (operator in _COMPARISONS and not returns_bool)
        self.visit(node.lhs, context)
        self.visit(node.rhs, evolve(context, optional=True) if operator == "unless" else context)

    def subquery(self, node: promql_parser.SubqueryExpr, context: _Context) -> None:
        if node.at is not None or node.range is None:
            raise _UnknownNodeError
        self.subqueries = True
        offset = node.offset.total_seconds() if node.offset is not None else 0.0
        window = (context.window or 0.0) + node.range.total_seconds()
        self.visit(node.expr, evolve(context, window=window, offset=context.offset + offset))

    def select(self, node: promql_parser.VectorSelector, window: float | None, context: _Context) -> None:
        if context.optional:
            self.optional = True
            return
        if node.matchers.or_matchers:
            raise _UnknownNodeError
        at = None
        if node.at is not None and node.at.at is not None:
            at = node.at.at.timestamp()
        offset = node.offset.total_seconds() if node.offset is not None else 0.0
        if context.window is not None and at is None:
            window = context.window + (LOOKBACK if window is None else window)
            offset += context.offset
        self.needed[Selector(text=_text(node), window=window, offset=offset, at=at)] = None


def _text(node: promql_parser.VectorSelector) -> str:
    """The selector in PromQL; the parser's own text leaves quotes unescaped."""
    matchers = ",".join(
        f"{matcher.name}{_sign(str(matcher))}{json.dumps(matcher.value, ensure_ascii=False)}"
        for matcher in node.matchers.matchers
    )
    return f"{node.name or ''}{{{matchers}}}" if matchers or not node.name else node.name


def _sign(matcher: str) -> str:
    signs = re.match(r"[^=!]*(=~|!~|!=|=)", matcher)
    if signs is None:
        raise _UnknownNodeError
    return signs[1]
