"""The parser of PromQL: native code that recurses on the process's stack, and panics on some numbers."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

MAX_OPERATORS = 300
"""A query with more operators and parentheses is not parsed: deep recursion crashes the process."""

_PANIC = "PanicException"
"""The name of a Rust panic. The class is in no public module, and is not an ``Exception``."""

_STRINGS = re.compile(r"\"(?:[^\"\\\n\r]|\\[^\n\r])*\"|'(?:[^'\\\n\r]|\\[^\n\r])*'|`[^`]*`|#[^\n\r]*")
"""Strings and comments, in one pass: whichever begins first hides the other. Unterminated ones are not removed."""
_MATCHERS = re.compile(r"\{[^{}()\[\]]*\}")
_OPERATOR = re.compile(r"[-+*/%^(<>=!@]|\b(?:and|or|unless|atan2|offset)\b", re.IGNORECASE)


class QueryTooDeep(ValueError):
    """The query has more than :data:`MAX_OPERATORS` operators, so it was not given to the parser."""


def parse_query(query: str) -> tuple[ModuleType, Any]:
    """The parser's module, and the query as a tree of its classes. Imports the parser when it is first called.

    Raises :class:`QueryTooDeep`, or ``ValueError`` with the parser's message.
    """
    if too_deep(query):
        raise QueryTooDeep(f"expected at most {MAX_OPERATORS} operators and parentheses")
    import promql_parser  # imported here: only some queries need it

    try:
        return promql_parser, promql_parser.parse(query)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise ValueError(str(error)) from None  # "up offset Inf", "up[1e30]": a duration out of range


def without_strings(query: str) -> str:
    """The query without its strings and comments, whose brackets and operators do not count."""
    return _STRINGS.sub(" ", query)


def too_deep(query: str) -> bool:
    """Whether the parser might recurse too deeply."""
    return len(query) > MAX_OPERATORS and (
        len(_OPERATOR.findall(_MATCHERS.sub("", without_strings(query)))) > MAX_OPERATORS
    )
