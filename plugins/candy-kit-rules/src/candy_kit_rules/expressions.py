"""Expressions, as far as they can be checked without a server."""

from __future__ import annotations

import re

from candy_kit_promql import QueryTooDeep, parse_query, without_strings

MAX_NESTING = 100
"""Nested brackets. Parsers recurse, and a server's own formatter takes quadratic time for them."""

_RENAMED = {"holt_winters": "double_exponential_smoothing"}
"""Functions by their names in older servers, which the parser does not know."""
_OLD_NAME = re.compile(rf"\b({'|'.join(_RENAMED)})(?=\s*\()")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_NOT_NUMERIC = {"MatrixSelector": "a range vector", "SubqueryExpr": "a range vector", "StringLiteral": "a text"}


def nesting_problem(expression: str) -> str | None:
    """Whether brackets are nested too deep; for expressions of any kind."""
    if sum(map(expression.count, _CLOSING)) <= MAX_NESTING:  # nearly always
        return None
    depth = deepest = 0
    for letter in without_strings(expression):
        if letter in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in ")]}":
            depth -= 1
    return f"expected at most {MAX_NESTING} brackets within each other" if deepest > MAX_NESTING else None


def bracket_problem(expression: str, accepted: bool) -> str | None:
    """Unbalanced brackets, which no version of MetricsQL accepts; only the server has a parser of MetricsQL.

    ``accepted``: a server has accepted the expression, so it is right.
    """
    outside = without_strings(expression)
    if accepted or "\\" in outside:  # names of metrics may have escaped brackets
        return None
    expected: list[str] = []
    for letter in outside:
        if letter in _CLOSING:
            expected.append(_CLOSING[letter])
        elif letter in ")]}" and (not expected or expected.pop() != letter):
            return f"the expression does not parse: {letter} closes nothing that is open"
    return f"the expression does not parse: {expected[-1]} is missing at its end" if expected else None


def promql_problem(expression: str, accepted: bool) -> str | None:
    """What is wrong with a PromQL expression; nothing if it is too long for the parser.

    ``accepted``: a server has accepted the expression, which overrides the parser's verdict. A rule needs a number for
    each series, or one number: a range vector or a text is rejected, as by Prometheus when it evaluates the rule.
    """
    try:
        parser, tree = parse_query(_OLD_NAME.sub(lambda found: _RENAMED[found[1]], expression))
    except QueryTooDeep:
        return None
    except ValueError as error:
        return None if accepted else f"the expression does not parse: {_one_line(str(error))}"
    while isinstance(tree, parser.ParenExpr):
        tree = tree.expr
    kind = _NOT_NUMERIC.get(type(tree).__name__)
    return f"expected an expression that gives numbers, and this one gives {kind}" if kind else None


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 500 else line[:500] + "…"
