"""docs/contract.md lists every route, code, scope and reason of the code, and marks what the code does not have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from candy_core.keys import ALL_SCOPES, SCOPES
from candy_core.model.task import Callback, Event, ItemStatus, Locale, Reason, TaskStatus
from candy_core.registry.checks import RESERVED
from candy_core.web.application import operations_of
from candy_core.web.problems import PROBLEM_TYPES

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "docs" / "contract.md").read_text("utf-8")
MARKER = "**Not yet implemented.**"


def part(anchor: str, text: str = CONTRACT) -> str:
    """From an anchor to the next one."""
    found = re.search(rf'<a id="{re.escape(anchor)}"></a>\n(.*?)(?=<a id="|\Z)', text, re.DOTALL)
    assert found is not None, anchor
    return found[1]


def rows(anchor: str, text: str = CONTRACT) -> dict[bool, list[tuple[str, ...]]]:
    """The cells of the tables under an anchor, code marks taken off: by whether the row is implemented."""
    found: dict[bool, list[tuple[str, ...]]] = {True: [], False: []}
    for line in re.findall(r"^\| (`.*|[0-9].*) \|$", part(anchor, text), re.MULTILINE):
        cells = tuple(cell.strip(" `") for cell in line.split(" | "))
        found[MARKER not in line].append(cells)
    return found


def first(anchor: str) -> tuple[list[str], list[str]]:
    """The first cells of the implemented rows, and of the others."""
    found = rows(anchor)
    return [row[0] for row in found[True]], [row[0] for row in found[False]]


def test_every_code_has_a_row_with_its_status() -> None:
    found = rows("1-errors")
    wanted = {(str(kind.status), code) for code, kind in PROBLEM_TYPES.items()}
    assert {row[:2] for row in found[True]} == wanted
    assert not {row[:2] for row in found[False]} & wanted


def test_every_scope_has_a_row() -> None:
    implemented, later = first("1-scopes")
    assert sorted(implemented) == sorted([*SCOPES, ALL_SCOPES])
    assert later == []


def test_every_reason_has_a_row() -> None:
    implemented, later = first("2-reasons")
    assert sorted(implemented) == sorted(Reason)
    assert not set(later) & set(Reason)


def test_every_route_has_a_row_with_its_scope() -> None:
    operations: Any = operations_of(MagicMock())
    found = rows("1-routes")
    wanted = {(f"{one.method} {one.path}", one.scope or "none, no key needed") for one in operations}
    assert {row[:2] for row in found[True]} == wanted
    assert not {row[0] for row in found[False]} & {route for route, _ in wanted}


def test_every_status_locale_event_and_reserved_name_is_told() -> None:
    for anchor, words in (
        ("2-status", TaskStatus),
        ("2-result", ItemStatus),
        ("2-request", Locale),
        ("4-task-callback", Event),
        ("7-names", RESERVED),
    ):
        assert [word for word in words if f"`{word}`" not in part(anchor)] == []
    assert set(first("4-task-callback")[0]) == set(Callback.__annotations__)


def test_the_marker_has_one_form_and_stands_at_an_end() -> None:
    """So that a search for it finds every place, and its reader knows what it covers."""
    paragraphs = [line for line in CONTRACT.splitlines() if re.search("not yet implemented", line, re.IGNORECASE)]
    assert [line for line in paragraphs if not re.search(re.escape(MARKER) + r"( At the end of .*| \|)?$", line)] == []


def test_a_missing_row_is_noticed() -> None:
    text = (
        '<a id="x"></a>\n\n| scope | allows |\n|---|---|\n| `a:b` | all |\n| `c:d` | more. **Not yet implemented.** |\n'
    )
    assert rows("x", text) == {True: [("a:b", "all")], False: [("c:d", "more. **Not yet implemented.**")]}
