"""Generated blocks in a Markdown file: what stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``."""

from __future__ import annotations

import re
from collections.abc import Callable

_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w:.-]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)


def names(text: str) -> list[str]:
    """The names of a document's blocks, in their order."""
    return [match["name"] for match in _BLOCK.finditer(text)]


def body(text: str, name: str) -> str:
    """What a block holds. Raises ``KeyError`` where the document has no such block."""
    for match in _BLOCK.finditer(text):
        if match["name"] == name:
            return match["body"]
    raise KeyError(name)


def rewritten(text: str, make: Callable[[str, str], str]) -> str:
    """The document with each block made anew; ``make`` is given a block's name and its present body."""
    return _BLOCK.sub(lambda match: match[1] + make(match["name"], match["body"]) + match[4], text)
