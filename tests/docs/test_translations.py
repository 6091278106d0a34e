"""A page and its Chinese twin have the same headings, code, tables, links and names. The README stays short."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_README = 900
"""Words outside code blocks and tables."""

_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_COMMENT = re.compile(r"(?:^|\s+)# .*$")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`')


def pages() -> list[Path]:
    """Every page that has a Chinese twin, and every one that has to."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.zh.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    translated = {Path(name.removesuffix(".zh.md") + ".md") for name in listed.split("\0") if name}
    documents = {Path("docs", f"{name}.md") for name in ("operating", "configuration", "alert-rules")}
    plugins = {
        path.parent.relative_to(ROOT) / "README.md"
        for path in ROOT.glob("plugins/*/pyproject.toml")
        if tomllib.loads(path.read_text()).get("project", {}).get("entry-points")
    }
    return sorted({Path("README.md")} | translated | documents | plugins)


def twins(page: Path) -> tuple[str, str]:
    """The text in English and in Chinese."""
    return (ROOT / page).read_text("utf-8"), (ROOT / page).with_suffix(".zh.md").read_text("utf-8")


def prose(text: str) -> str:
    """Without code blocks."""
    return _FENCED.sub("", text)


def headings(text: str) -> list[int]:
    """The levels of the headings, in their order."""
    return [len(marks) for marks in re.findall(r"^(#{1,6}) ", prose(text), re.MULTILINE)]


def links(text: str) -> Counter[str]:
    """Where the links lead; a page and its twin are one place."""
    return Counter(target.replace(".zh.md", ".md") for target in re.findall(r"\]\(([^()\s]+)\)", prose(text)))


def tables(text: str) -> list[tuple[int, int]]:
    """Rows and columns of each table."""
    found = re.findall(r"(?:^\|.*\|\n?)+", prose(text), re.MULTILINE)
    columns = [len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", table.splitlines()[0]))) - 1 for table in found]
    return [(table.count("\n"), width) for table, width in zip(found, columns, strict=True)]


def code(text: str) -> list[tuple[str, list[str]]]:
    """The code blocks: their language and their lines, without comments and empty lines."""
    found = []
    for _, language, body in _FENCED.findall(text):
        lines = (_COMMENT.sub("", line).strip() for line in body.splitlines())
        found.append((language, [line for line in lines if line]))
    return found


def differ(english: str, chinese: str) -> bool:
    """Whether a line of code says something else in Chinese; texts in quotes and the locale are translated."""
    if _CHINESE.search(chinese):
        english, chinese = (_QUOTED.sub("", line) for line in (english, chinese))
    return english.replace('"locale": "en"', '"locale": "zh_CN"') != chinese


def names(text: str) -> set[str]:
    """Variables and targets of the Makefile."""
    patterns = (r"`([A-Z_]{4,})`", r"(?:^|`)(make [a-z]+)")
    return {name for pattern in patterns for name in re.findall(pattern, text, re.MULTILINE)}


@pytest.mark.parametrize("page", pages(), ids=str)
def test_a_page_and_its_twin_are_built_alike(page: Path) -> None:
    english, chinese = twins(page)
    assert headings(english) == headings(chinese)
    assert links(english) == links(chinese)
    assert tables(english) == tables(chinese)
    assert names(english) ^ names(chinese) == set()


@pytest.mark.parametrize("page", pages(), ids=str)
def test_a_page_and_its_twin_have_the_same_code(page: Path) -> None:
    english, chinese = (code(text) for text in twins(page))
    assert [language for language, _ in english] == [language for language, _ in chinese]
    for (_, one), (_, other) in zip(english, chinese, strict=True):
        assert [pair for pair in zip_longest(one, other, fillvalue="") if differ(*pair)] == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_a_page_and_its_twin_link_to_each_other(page: Path) -> None:
    english, chinese = twins(page)
    assert f"[中文]({page.stem}.zh.md)" in english
    assert f"[English]({page.name})" in chinese


def test_the_readme_is_short() -> None:
    text = re.sub(r"^\|.*\n", "", prose((ROOT / "README.md").read_text("utf-8")), flags=re.MULTILINE)
    assert len(text.split()) <= LONGEST_README


SMALL = "# A\n\n[b](b.md)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nrun 'x'    # why\nsay \"all\"\n```\n"


@pytest.mark.parametrize(
    ("twin", "same"),
    [
        (SMALL.replace("why", "为何").replace("b.md", "b.zh.md").replace('"all"', '"全部"'), True),
        (SMALL.replace("# A", "## A"), False),
        (SMALL.replace("b.md", "c.md"), False),
        (SMALL.replace("| 1 | 2 |\n", ""), False),
        (SMALL.replace("run", "walk"), False),
        (SMALL.replace("```sh", "```python"), False),
        (SMALL + "`CANDY_X`, `make x`\n", False),
    ],
)
def test_a_difference_is_noticed(twin: str, same: bool) -> None:
    one, other = code(SMALL), code(twin)
    lines = [
        pair
        for (_, left), (_, right) in zip(one, other, strict=True)
        for pair in zip_longest(left, right, fillvalue="")
    ]
    alike = [headings(SMALL), links(SMALL), tables(SMALL), names(SMALL), [language for language, _ in one]] == [
        headings(twin),
        links(twin),
        tables(twin),
        names(twin),
        [language for language, _ in other],
    ]
    assert (alike and not any(differ(*pair) for pair in lines)) is same
