"""What the documents have from the code is what the code says now; ``make docs`` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from candy_core.metrics import Metrics
from candy_docs import blocks, log_events, picture, settings
from candy_docs.documents import CONFIGURATION, DOCS, fresh

ROOT = picture.ROOT
OPERATING = ("operating.md", "operating.zh.md")
SOURCES = [ROOT / "candy_core", *sorted(ROOT.glob("plugins/*/src"))]


def document(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.mark.parametrize("name", [*CONFIGURATION, "architecture.md"])
def test_the_generated_blocks_are_up_to_date(name: str) -> None:
    text = document(name)
    assert blocks.names(text)
    assert fresh(text) == text, f"docs/{name} is out of date: run make docs"


@pytest.mark.parametrize("name", CONFIGURATION)
def test_every_setting_of_the_core_and_of_each_plugin_has_its_meaning(name: str) -> None:
    text = document(name)
    for section, rows in settings.sections().items():
        known = settings.meanings(blocks.body(text, f"settings:{section}"))
        missing = [row.key for row in rows if known.get(row.key, "") in ("", settings.MISSING)]
        assert not missing, f"docs/{name}, {section}: say what these mean: {missing}"


@pytest.mark.parametrize("name", OPERATING)
def test_every_log_event_is_explained(name: str) -> None:
    text = document(name)
    lacking = sorted(event for event in log_events.events(SOURCES) if f"| `{event}` |" not in text)
    assert not lacking, f"docs/{name} has no row for these log events: {lacking}"


@pytest.mark.parametrize("name", OPERATING)
def test_no_log_event_is_explained_that_does_not_exist(name: str) -> None:
    table = re.findall(r"^\| `([a-z_]+)` \|", document(name), re.MULTILINE)
    known = log_events.events(SOURCES) | {family.name for family in Metrics("0").registry.collect()}
    assert sorted(set(table) - known - CHECKS) == []


CHECKS = frozenset({"execution", "intake", "server"})
"""Rows about the checks of ``/ready``."""


@pytest.mark.parametrize("name", OPERATING)
def test_every_metric_is_explained(name: str) -> None:
    text = document(name)
    lacking = sorted(family.name for family in Metrics("0").registry.collect() if f"`{family.name}" not in text)
    assert not lacking, f"docs/{name} lacks these metrics: {lacking}"


def test_a_document_that_lacks_something_is_found() -> None:
    """The checks above can fail: on a setting, an event and a picture that are not there."""
    row = settings.Setting("new_one", ("CANDY_NEW_ONE",), "text", "")
    table = settings.table((row,), "| key | variable | type | default | meaning |\n|---|---|---|---|---|\n")
    assert settings.meanings(table) == {"new_one": settings.MISSING}
    stale = "<!-- generated: picture -->\nold\n<!-- end -->"
    assert fresh(stale) != stale
    with pytest.raises(KeyError):
        fresh("<!-- generated: settings:no_such_plugin -->\n<!-- end -->")


def test_meanings_are_kept_and_columns_are_renewed() -> None:
    old = "| key | variable | type | default | meaning |\n|---|---|---|---|---|\n| `a` | `X` | text | `1` | Kept. |\n"
    made = settings.table((settings.Setting("a", ("CANDY_A",), "number", "`2`"),), old)
    assert made.splitlines()[-1] == "| `a` | `CANDY_A` | number | `2` | Kept. |"


def test_events_are_found_however_they_are_logged(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "log.warning('first_event', plugin='p')\n"
        "self._logger.error('second_event' if x else 'third_event')\n"
        "write('fourth_event', why=1)\n"
        "LogEntry(time=now, level='info', event='fifth_event')\n"
        "self._log(claim, ('warning', 'sixth_event', why))\n"
        "print('not_an_event')\n"
    )
    assert sorted(log_events.events([tmp_path])) == [
        f"{number}_event" for number in ("fifth", "first", "fourth", "second", "sixth", "third")
    ]
