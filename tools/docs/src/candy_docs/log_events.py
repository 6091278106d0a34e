"""Every log event and every event of the execution log, found in the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

_EVENT = re.compile(r"[a-z]+(_[a-z]+)*")
_LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def events(folders: list[Path]) -> frozenset[str]:
    """The events that the code below these folders logs: constants handed to a logger, or stored in the task's log."""
    return frozenset(
        event
        for folder in folders
        for file in sorted(folder.rglob("*.py"))
        if "testing" not in file.parts
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for event in _events_of(node)
    )


def _events_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _logged(node)
        yield from _after_level(node.args)
        for keyword in node.keywords:
            if keyword.arg == "event":
                yield from _constants(keyword.value)
    elif isinstance(node, ast.Tuple):
        yield from _after_level(node.elts)


def _logged(call: ast.Call) -> Iterator[str]:
    function = call.func
    if isinstance(function, ast.Attribute):
        logs = function.attr in _LEVELS and "log" in ast.unparse(function.value)
    else:
        logs = isinstance(function, ast.Name) and function.id in ("log", "write")
    if call.args and logs:
        yield from _constants(call.args[0])


def _after_level(values: list[ast.expr]) -> Iterator[str]:
    """``…, "info", "item_started", …``: how an entry of the execution log is handed on."""
    for level, event in pairwise(values):
        if (isinstance(level, ast.Constant) and level.value in _LEVELS) or ast.unparse(level) == "level":
            yield from _constants(event)


def _constants(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.IfExp):
        yield from _constants(value.body)
        yield from _constants(value.orelse)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str) and _EVENT.fullmatch(value.value):
        yield value.value
