"""No query crashes the process: the parser is native code that recurses, and never gets a query that is too deep."""

from __future__ import annotations

import subprocess
import sys

import pytest

from candy_kit_promql.parsing import QueryTooDeep, parse_query, too_deep, without_strings

NEST = "(" * 100_000 + "up" + ")" * 100_000
DEEP = {
    "nested": NEST,
    "functions": "abs(" * 100_000 + "up" + ")" * 100_000,
    "a chain": "up" + " + up" * 100_000,
    "signs": "-" * 100_000 + "up",
    "words": "up" + " or up" * 100_000,
    "hidden between comments": f"# it's\n{NEST} # it's",
    "hidden between double quotes in comments": f'# "\n{NEST} # "',
    "hidden between backticks in comments": f"# `\n{NEST} # `",
    "behind a comment that a carriage return may end": f"# \r{NEST}",
    "behind a string over two lines": f"'\n{NEST}'",
    "between the quotes of two strings": f'label_replace(up, "\'", "", "", "") + {NEST} + x{{a="\'"}}',
    "in braces": "up{" + NEST + "}",
}


@pytest.mark.parametrize("query", DEEP.values(), ids=DEEP)
def test_depth_is_found_wherever_it_hides(query: str) -> None:
    assert too_deep(query)
    with pytest.raises(QueryTooDeep):
        parse_query(query)


@pytest.mark.parametrize("query", DEEP.values(), ids=DEEP)
def test_a_query_that_is_too_deep_does_not_crash_the_process(query: str) -> None:
    code = "import sys; from candy_kit_promql import selection_of; sys.exit(selection_of(sys.stdin.read()) is not None)"
    assert subprocess.run([sys.executable, "-c", code], input=query, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "query",
    [
        "up",
        'up{a=~"' + "(x|y)" * 1000 + '"}',
        "up # " + "((((" * 1000,
        "up{" + ",".join(f'l{number}!="x"' for number in range(1000)) + "}",
        " + ".join(["up"] * 300),
    ],
)
def test_long_but_shallow_queries_are_parsed(query: str) -> None:
    assert not too_deep(query)


def test_a_quote_in_a_comment_or_a_number_sign_in_a_string_hides_nothing() -> None:
    assert without_strings("a # it's\nb # it's\n'#' c").split() == ["a", "b", "c"]
