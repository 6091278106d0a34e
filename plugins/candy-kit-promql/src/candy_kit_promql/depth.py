"""How deep the parser would recurse. It is native code, and its stack is the process's: too deep is a crash."""

from __future__ import annotations

import re

MAX_OPERATORS = 300
"""A longer chain, or one with more parentheses, is not parsed."""

_APART = re.compile(r"\"(?:[^\"\\\n\r]|\\[^\n\r])*\"|'(?:[^'\\\n\r]|\\[^\n\r])*'|`[^`]*`|#[^\n\r]*")
"""Strings and comments, in one pass: whichever begins first hides the other. Where in doubt they are left to count."""
_MATCHERS = re.compile(r"\{[^{}()\[\]]*\}")
_OPERATOR = re.compile(r"[-+*/%^(<>=!@]|\b(?:and|or|unless|atan2|offset)\b", re.IGNORECASE)


def bare(query: str) -> str:
    """The query without its strings and comments: what stands in these is no bracket and no operator."""
    return _APART.sub(" ", query)


def too_deep(query: str) -> bool:
    """Whether a query must not be given to the parser."""
    return len(query) > MAX_OPERATORS and len(_OPERATOR.findall(_MATCHERS.sub("", bare(query)))) > MAX_OPERATORS
