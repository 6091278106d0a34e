"""Expressions, as far as they can be judged without a server."""

from __future__ import annotations

import re

from candy_kit_promql.depth import bare, too_deep
from candy_kit_promql.parsing import parse

MAX_NESTING = 100
"""Brackets within each other. Parsers recurse, and a server's own formatter takes quadratic time for them."""

_OLDER = {"holt_winters": "double_exponential_smoothing"}
"""Functions under names that older servers have for them, and the parser does not know."""
_OLDER_NAME = re.compile(rf"\b({'|'.join(_OLDER)})(?=\s*\()")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_NO_RULE = {"MatrixSelector": "a range vector", "SubqueryExpr": "a range vector", "StringLiteral": "a text"}


def nesting_problem(expression: str) -> str | None:
    """Whether brackets stand too deep within each other; for expressions of any kind."""
    if sum(map(expression.count, _CLOSING)) <= MAX_NESTING:  # as nearly all: not worth a look at every letter
        return None
    depth = deepest = 0
    for letter in bare(expression):
        if letter in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in ")]}":
            depth -= 1
    return f"expected at most {MAX_NESTING} brackets within each other" if deepest > MAX_NESTING else None


def bracket_problem(expression: str, accepted: bool) -> str | None:
    """Whether brackets are left open or closed twice: what no version of MetricsQL has, whose parser is the server's.

    ``accepted``: a server has parsed it, and has the last word.
    """
    outside = bare(expression)
    if accepted or "\\" in outside:  # names of metrics may hold escaped brackets
        return None
    awaited: list[str] = []
    for letter in outside:
        if letter in _CLOSING:
            awaited.append(_CLOSING[letter])
        elif letter in ")]}" and (not awaited or awaited.pop() != letter):
            return f"the expression does not parse: {letter} closes nothing that is open"
    return f"the expression does not parse: {awaited[-1]} is missing at its end" if awaited else None


def promql_problem(expression: str, accepted: bool) -> str | None:
    """What is wrong with an expression that is to be PromQL; what the parser cannot take on is not wrong.

    ``accepted``: a server has parsed it, and knows more than this parser. A rule needs a number for each series, or one
    number: a range vector or a text is refused, as Prometheus does when it evaluates the rule.
    """
    if too_deep(expression):
        return None
    try:
        parser, tree = parse(_OLDER_NAME.sub(lambda found: _OLDER[found[1]], expression))
    except ValueError as error:
        return None if accepted else f"the expression does not parse: {_one_line(str(error))}"
    while isinstance(tree, parser.ParenExpr):
        tree = tree.expr
    kind = _NO_RULE.get(type(tree).__name__)
    return f"expected an expression that gives numbers, and this one gives {kind}" if kind else None


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 500 else line[:500] + "…"
