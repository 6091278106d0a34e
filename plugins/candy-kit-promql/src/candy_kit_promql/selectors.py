"""Which series a query selects, and whether it may leave some of them out of its result."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from candy_kit_promql.depth import too_deep
from candy_kit_promql.parsing import parse

if TYPE_CHECKING:
    import promql_parser

LOOKBACK = 300.0
"""Seconds for which a sample stands: Prometheus' default."""

_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_SETS = frozenset({"and", "unless"})
_ABSENCE = frozenset({"absent", "absent_over_time"})
_CHOOSING = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})


@frozen(kw_only=True)
class Selector:
    """One selector of a query. ``text`` has its matchers alone; times are in seconds.

    A sample counts for it from ``window`` before its instant on (``None``: an instant selector of the query itself,
    which looks back as far as the server is set to); the instant is ``at``, or else the query's own, less ``offset``.
    """

    text: str
    window: float | None = None
    offset: float = 0.0
    at: float | None = None

    def widened(self, seconds: float) -> Selector:
        """The same, looked for in a stretch that is longer by ``seconds``, as a range query does."""
        if self.at is not None:
            return self
        return evolve(self, window=(LOOKBACK if self.window is None else self.window) + seconds)

    def expression(self) -> str:
        """An instant vector in PromQL that is empty if and only if nothing is there for this selector."""
        window = "" if self.window is None else f"[{round(self.window * 1000)}ms]"
        offset = f" offset {round(self.offset * 1000)}ms" if self.offset else ""
        at = "" if self.at is None else f" @ {self.at:.3f}"
        whole = f"{self.text}{window}{offset}{at}"
        return f"present_over_time({whole})" if window else whole


@frozen(kw_only=True)
class Selection:
    """What a query selects.

    ``needed`` are the selectors, each once, whose absence may leave the result empty. Those under ``absent()`` and on
    the right of ``unless`` are not among them: there, nothing is what is hoped for; ``optional`` tells that there are
    such.
    ``filters``: the query has an operator that may drop series (a comparison without ``bool``, ``and``, ``unless``,
    ``absent``, ``topk`` …). ``subqueries``: whose samples Prometheus does not always count.
    """

    needed: tuple[Selector, ...] = ()
    optional: bool = False
    filters: bool = False
    subqueries: bool = False

    def widened(self, seconds: float) -> Selection:
        """The same, for a range query that reaches ``seconds`` back."""
        return evolve(self, needed=tuple(selector.widened(seconds) for selector in self.needed))


def selection_of(query: str) -> Selection | None:
    """Take a query apart; ``None`` where that cannot be done: another dialect, a newer syntax, too long a query."""
    found = parsed(query)
    if found is None:
        return None
    parser, tree = found
    try:
        walk = _Walk(parser)
        walk.visit(tree, _Place())
    except (ValueError, TypeError, OverflowError, _NotUnderstoodError):
        return None
    return Selection(
        needed=tuple(walk.needed), optional=walk.optional, filters=walk.filters, subqueries=walk.subqueries
    )


def parsed(query: str) -> tuple[Any, Any] | None:
    """The parser's module, and the query as its tree; ``None`` where it is not understood, or too long a chain."""
    if too_deep(query):
        return None
    try:
        return parse(query)
    except ValueError:
        return None


class _NotUnderstoodError(Exception):
    """A node that this module does not know."""


@frozen(kw_only=True)
class _Place:
    """Where in the query a node stands: within subqueries that reach ``window`` back, from ``offset`` ago."""

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

    def visit(self, node: Any, place: _Place) -> None:
        parser = self.parser
        match node:
            case parser.NumberLiteral() | parser.StringLiteral() | None:
                pass
            case parser.ParenExpr() | parser.UnaryExpr():
                self.visit(node.expr, place)
            case parser.VectorSelector():
                self.select(node, None, place)
            case parser.MatrixSelector():
                self.select(node.vector_selector, node.range.total_seconds(), place)
            case parser.AggregateExpr():
                self.filters |= str(node.op) in _CHOOSING
                self.visit(node.param, place)
                self.visit(node.expr, place)
            case parser.Call():
                absence = node.func.name in _ABSENCE
                self.filters |= absence
                for argument in node.args:
                    self.visit(argument, evolve(place, optional=place.optional or absence))
            case parser.BinaryExpr():
                self.binary(node, place)
            case parser.SubqueryExpr():
                self.subquery(node, place)
            case _:
                raise _NotUnderstoodError

    def binary(self, node: promql_parser.BinaryExpr, place: _Place) -> None:
        operator = str(node.op)
        returns_bool = node.modifier is not None and node.modifier.return_bool
        self.filters |= operator in _SETS or (operator in _COMPARISONS and not returns_bool)
        self.visit(node.lhs, place)
        self.visit(node.rhs, evolve(place, optional=True) if operator == "unless" else place)

    def subquery(self, node: promql_parser.SubqueryExpr, place: _Place) -> None:
        if node.at is not None or node.range is None:
            raise _NotUnderstoodError
        self.subqueries = True
        offset = node.offset.total_seconds() if node.offset is not None else 0.0
        window = (place.window or 0.0) + node.range.total_seconds()
        self.visit(node.expr, evolve(place, window=window, offset=place.offset + offset))

    def select(self, node: promql_parser.VectorSelector, window: float | None, place: _Place) -> None:
        if place.optional:
            self.optional = True
            return
        if node.matchers.or_matchers:
            raise _NotUnderstoodError
        at = None
        if node.at is not None and node.at.at is not None:
            at = node.at.at.timestamp()
        offset = node.offset.total_seconds() if node.offset is not None else 0.0
        if place.window is not None and at is None:
            window = place.window + (LOOKBACK if window is None else window)
            offset += place.offset
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
        raise _NotUnderstoodError
    return signs[1]
