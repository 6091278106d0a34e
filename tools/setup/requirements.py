"""Prints what distributions of this checkout need.

``requirements.py`` prints what all of them need from elsewhere, for development too: the input of ``make lock``.
``requirements.py NAME…`` prints what running these takes from elsewhere, and ``requirements.py --own NAME…`` the
folders of these and of every distribution of ours that they need, the core first.

Needs nothing but the standard library, since it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def projects(root: Path = ROOT) -> tuple[Path, ...]:
    """The folders that hold a distribution of ours: the core, every plugin, and those under contrib and tools."""
    found = (path.parent for kind in ("plugins", "contrib", "tools") for path in root.glob(f"{kind}/*/pyproject.toml"))
    return (root, *sorted(found))


def own_name(requirement: str) -> str:
    """The normalised name that a requirement begins with: ``Candy_Core>=1`` gives ``candy-core``."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def pyproject(folder: Path) -> Mapping[str, Any]:
    """A distribution's pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text())


def requirements(root: Path = ROOT) -> Iterator[str]:
    """Every requirement, ours left out, sorted and once each."""
    documents = [pyproject(folder) for folder in projects(root)]
    ours = {own_name(document["project"]["name"]) for document in documents}
    wanted: set[str] = set()
    for document in documents:
        wanted.update(document["project"].get("dependencies", ()))
        wanted.update(document["build-system"]["requires"])
        for extra in document["project"].get("optional-dependencies", {}).values():
            wanted.update(extra)
        for group in document.get("dependency-groups", {}).values():
            wanted.update(entry for entry in group if isinstance(entry, str))
    yield from sorted(entry for entry in wanted if own_name(entry) not in ours)


def closure(names: Iterable[str], root: Path = ROOT) -> tuple[Path, ...]:
    """The folders of the core, of these distributions, and of all of ours that they need; raises ``SystemExit``."""
    folders = {own_name(pyproject(folder)["project"]["name"]): folder for folder in projects(root)}
    unknown = sorted(set(names) - set(folders))
    if unknown:
        raise SystemExit(f"no distribution here is called {', '.join(unknown)}; there are {', '.join(sorted(folders))}")
    left = ["candy-core", *names]
    found: dict[str, Path] = {}
    while left:
        name = left.pop(0)
        if name not in found:
            found[name] = folders[name]
            needed = (own_name(entry) for entry in pyproject(folders[name])["project"].get("dependencies", ()))
            left.extend(entry for entry in needed if entry in folders)
    return tuple(found.values())


def runtime_requirements(names: Iterable[str], root: Path = ROOT) -> Iterator[str]:
    """What running these distributions takes from elsewhere, the faster event loop included; sorted, once each."""
    folders = closure(names, root)
    ours = {own_name(pyproject(folder)["project"]["name"]) for folder in folders}
    wanted: set[str] = set()
    for folder in folders:
        project = pyproject(folder)["project"]
        wanted.update(project.get("dependencies", ()))
        wanted.update(project.get("optional-dependencies", {}).get("fast", ()))
    yield from sorted(entry for entry in wanted if own_name(entry) not in ours)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            lines = tuple(requirements())
        case ["--own", *given]:
            lines = tuple(str(folder.relative_to(ROOT) or ".") for folder in closure(given))
        case given:
            lines = tuple(runtime_requirements(given))
    print("\n".join(lines))
