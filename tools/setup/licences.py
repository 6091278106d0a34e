"""Checks licences: ours are MIT and ship their text; those of what we need are permissive.

What a user installs (the core, the plugins and all that these need) has to be under one of ``PERMISSIVE``. Tools that
only developers run may also be under ``WEAK``, since nobody passes them on with the agent.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions

from packaging.markers import default_environment
from packaging.requirements import Requirement

from requirements import ROOT, own_name, projects

PERMISSIVE = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC", "MIT"),
        *("MIT-0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"),
    }
)
WEAK = frozenset({"MPL-2.0"})
"""Only changes to their own files have to be passed on."""

SPELLINGS: Mapping[str, str] = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "psf-2.0": "PSF-2.0",
}
"""How older metadata spells them."""


EXCEPTED: Mapping[str, frozenset[str]] = {
    "asyncssh": frozenset(
        {"EPL-2.0"}
    ),  # a library apart that the agent calls and does not change: EPL ends at its files
    "certifi": frozenset({"MPL-2.0"}),  # needed by kubernetes; a list of certificates, passed on unchanged
}
"""Shipped under a licence that is on neither list, and why that binds nothing of ours."""

EXAMINED: Mapping[str, str] = {
    "forbiddenfruit": "MIT",  # either GPLv3+ or MIT, says its README: the receiver chooses
    "promql-parser": "MIT",  # the metadata says nothing, the LICENSE in the wheel is MIT's
    "pytest-timeout": "MIT",  # "DFSG approved" is no licence, but a remark
}
"""Where the metadata says too little or too much: what reading the distribution's own files gave."""


def licences(distribution: Distribution) -> tuple[str, ...]:
    """What the metadata says, best source first: the SPDX expression, the classifiers, the free text."""
    metadata = distribution.metadata
    if examined := EXAMINED.get(own_name(metadata["Name"])):
        return (examined,)
    if expressions := metadata.get_all("License-Expression"):
        return tuple(expressions)
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or () if c.startswith("License ::")]
    named = [c for c in classifiers if c != "OSI Approved"]
    text = "".join(metadata.get_all("License") or ()).strip()
    if not named and text and "\n" not in text:
        named = [text]
    return tuple(SPELLINGS.get(name.lower(), name) for name in named)


def allowed(expression: str, ids: frozenset[str]) -> bool:
    """Whether an SPDX expression is met by these ids: one side of each OR, both sides of each AND."""
    bare = expression.replace("(", " ").replace(")", " ")
    return any(all(part.strip() in ids for part in re.split(r"\bAND\b", side)) for side in re.split(r"\bOR\b", bare))


def closure(names: Iterable[str], installed: Mapping[str, Distribution]) -> frozenset[str]:
    """These distributions and all that they need, extras included, as far as it is installed."""
    environment = {name: str(value) for name, value in default_environment().items()}
    found: set[str] = set()
    todo = [(name, "") for name in names]
    seen: set[tuple[str, str]] = set()
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen or name not in installed:
            continue
        seen.add((name, extra))
        found.add(name)
        for line in installed[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate(environment | {"extra": extra}):
                needed = own_name(requirement.name)
                todo += [(needed, ""), *((needed, wanted) for wanted in requirement.extras)]
    return frozenset(found)


def faults() -> Iterator[str]:
    """One line for each thing that is wrong."""
    installed = {own_name(each.metadata["Name"]): each for each in distributions()}
    ours: dict[str, bool] = {}
    for folder in projects():
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        ours[own_name(project["name"])] = folder == ROOT or folder.parent == ROOT / "plugins"
        if project.get("license") != "MIT":
            yield f'{folder.name}: pyproject.toml has to say license = "MIT"'
        text = folder / "LICENSE"
        if not text.is_file() or text.read_text() != (ROOT / "LICENSE").read_text():
            yield f"{folder.name}: has to ship LICENSE, the same as the root's"
    shipped = closure([name for name, ships in ours.items() if ships], installed)
    for name, distribution in sorted(installed.items()):
        if name in ours:
            continue
        ids = (PERMISSIVE if name in shipped else PERMISSIVE | WEAK) | EXCEPTED.get(name, frozenset())
        found = licences(distribution)
        if not found or not all(allowed(each, ids) for each in found):
            kind = "shipped with the agent" if name in shipped else "a developer's tool"
            yield f"{name} ({kind}): licence {' / '.join(found) or 'unknown'} is not on the list"


if __name__ == "__main__":
    found = list(faults())
    print("\n".join(found))
    sys.exit(1 if found else 0)
