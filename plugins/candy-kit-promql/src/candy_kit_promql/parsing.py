"""The parser of PromQL: native code, which panics at some numbers where it should refuse them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

_PANIC = "PanicException"
"""What a panic of Rust's is called. The class has no public home, and is no ``Exception``."""


def parse(query: str) -> tuple[ModuleType, Any]:
    """The parser's module, and the query as its tree. Raises ``ValueError`` with its words where it can give none.

    ``query`` must not be :func:`~candy_kit_promql.depth.too_deep`.
    """
    import promql_parser  # late: only some queries need it

    try:
        return promql_parser, promql_parser.parse(query)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise ValueError(str(error)) from None  # "up offset Inf", "up[1e30]": a duration out of all bounds
