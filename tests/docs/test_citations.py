"""Every citation leads somewhere: to a section of the contract, a heading, a quoted sentence, a file, an anchor."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "docs" / "contract.md"
KINDS = {".md", ".py", ".sh", ".toml", ".yaml", ".yml"}

_NUMBERS = r"[0-9](?:(?:,? and|,? to|,) [0-9])*"
_QUOTED = r"""(?:(?:'s)?[:,] \\?(?P<mark>["'])(?P<quote>.{1,400}?)\\?(?P=mark)(?!\w))?"""
_SECTION = re.compile(rf"(?<![0-9], )(?i:\bsections? )(?P<numbers>{_NUMBERS})(?![0-9]|\.[0-9]){_QUOTED}")
_SIGN = re.compile(rf"§ ?(?P<numbers>[0-9])(?![0-9]|\.[0-9]){_QUOTED}")
_DOCUMENT = re.compile(r"(?<![\w/.-])docs/[\w/.-]+\.md(?:#[\w-]+)?")
_LINK = re.compile(r"\]\((?![a-z]+:)([^()\s]+)\)")
_ELSEWHERE = re.compile("founding" + r"[ _-]document", re.IGNORECASE)
"""The project's first protocol document, which readers do not have: its examples are the contract's."""


def one_line(text: str) -> str:
    """The text without line ends and the marks of comments: citations run over several lines."""
    return re.sub(r"\s*\n\s*(?:#+ )?", " ", text)


def words(text: str) -> str:
    """What a quotation is compared by: the words, without marks and punctuation."""
    text = re.sub(r"\]\([^)]*\)", "", text)
    found = re.findall(r"[\w%$<>=]+", text.lower().replace("_", " "))
    return f" {' '.join(found)} "


def sections(contract: str) -> dict[int, str]:
    """The contract's sections by number."""
    found = re.finditer(r"^## ([0-9])\. .*?(?=^## |\Z)", contract, re.MULTILINE | re.DOTALL)
    return {int(match[1]): words(match[0]) for match in found}


def anchors(markdown: str) -> set[str]:
    """Where a link into a page may lead: its explicit anchors, and those that forges make of headings."""
    text = re.sub(r"^(```|~~~).*?^\1", "", markdown, flags=re.MULTILINE | re.DOTALL)
    found = set(re.findall(r'<a id="([\w-]+)"></a>', text))
    seen: Counter[str] = Counter()
    for heading in re.findall(r"^#{1,6} (.+?)(?: #+)?$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w -]", "", plain).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def numbers(text: str) -> Iterator[int]:
    """The numbers of ``1, 2 and 4 to 6``."""
    for start, end in re.findall(r"([0-9])(?: to ([0-9]))?", text):
        yield from range(int(start), int(end or start) + 1)


def lost_sections(text: str, contract: Mapping[int, str]) -> list[str]:
    """The citations of sections that are not there, and the quotations of what does not stand in them."""
    lost = []
    line = one_line(text)
    for pattern in (_SECTION, _SIGN):
        for match in pattern.finditer(line):
            if re.search(r"RFC [0-9]+[^.;:]{0,12}$", line[: match.start()]):
                continue
            cited = [contract.get(number, "") for number in numbers(match["numbers"])]
            quoted = [words(piece) for piece in re.split(r"…|\.\.\.", match["quote"] or "")]
            if not all(cited) or any(len(piece) > 3 and piece not in " ".join(cited) for piece in quoted):
                lost.append(match[0])
    return lost


def lost_links(path: Path, text: str) -> list[str]:
    """The links of a page, and the pages under docs that a file names, that are not there."""
    targets = [(ROOT, target) for target in _DOCUMENT.findall(text)]
    if path.suffix == ".md":
        prose = re.sub(r"^(```|~~~).*?^\1|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
        targets += [(path.parent, target) for target in _LINK.findall(prose)]
    lost = []
    for base, target in targets:
        name, _, anchor = target.partition("#")
        page = base / name if name else path
        if not page.exists() or (anchor and anchor not in anchors_of(page)):
            lost.append(target)
    return lost


@cache
def anchors_of(page: Path) -> set[str]:
    return anchors(page.read_text("utf-8"))


def files() -> list[Path]:
    """Every file of the repository in which citations may stand."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.suffix in KINDS and path.is_file() and path != Path(__file__)]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_citation_leads_somewhere(kind: str) -> None:
    known = sections(CONTRACT.read_text("utf-8"))
    lost = []
    for path in files():
        if path.suffix == kind:
            text = path.read_text("utf-8")
            found = lost_sections(text, known) + lost_links(path, text) + _ELSEWHERE.findall(text)
            lost += [f"{path.relative_to(ROOT)}: {citation}" for citation in found]
    assert lost == []


def test_sections_and_anchors_of_the_contract_agree() -> None:
    text = CONTRACT.read_text("utf-8")
    explicit = re.findall(r'<a id="([\w-]+)"></a>', text)
    assert len(set(explicit)) == len(explicit)
    assert [anchor for anchor in explicit if f"](#{anchor})" not in text] == []
    assert {f"section-{number}" for number in range(1, 9)} == {name for name in explicit if name.startswith("section-")}
    assert sections(text).keys() == set(range(1, 9))


SMALL = "## 1. One\n\n### Intake\n\nOne bad rule never costs `the others`.\n\n## 2. Two\n\nLimit: 5 s.\n"


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("contract section 1", 0),
        ("(section 2)", 0),
        ("contract sections 1 and 2, contract, sections 1 to 2", 0),
        ("contract section 3", 1),
        ("contract sections 1 and 3", 1),
        ("contract sections 1 to 3", 1),
        ("(section 3)", 1),
        ("§3", 1),
        ("Contract §1: '`one` bad rule … the others'", 0),
        ("Contract §2: 'one bad rule'", 1),
        ('# contract section 1,\n    # "Intake"', 0),
        ('contract section 2, "Intake"', 1),
        ("RFC 3986, section 3.2.2; RFC 1123, section 5", 0),
    ],
)
def test_a_citation_that_leads_nowhere_is_noticed(text: str, lost: int) -> None:
    assert len(lost_sections(text, sections(SMALL))) == lost


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    other = '# A heading: `code`\n\n<a id="here"></a>\n\n## Twice\n\n## Twice\n\n```sh\n# no heading\n```\n'
    (tmp_path / "other.md").write_text(other)
    good = (
        "[a](other.md) [b](other.md#here) [c](other.md#a-heading-code) [d](other.md#twice-1) [e](https://x.y) `[f](g)`"
    )
    assert lost_links(page, good) == []
    bad = "[a](gone.md) [b](other.md#no-heading) [c](#nowhere)"
    page.write_text(bad)
    assert lost_links(page, bad) == ["gone.md", "other.md#no-heading", "#nowhere"]
    assert lost_links(tmp_path / "x.py", "see docs/contract.md#2-intake and docs/contract.md#2-outtake") == [
        "docs/contract.md#2-outtake"
    ]
