"""The picture of the architecture: which package imports which, drawn as Mermaid from the imports themselves."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[4]
_HIDDEN = frozenset({"__main__", "version"})
"""Says nothing in a picture."""


def layers(root: Path = ROOT) -> list[list[str]]:
    """The layers of candy_core from the top, as import-linter holds them."""
    document = tomllib.loads((root / "pyproject.toml").read_text())
    contracts = document["tool"]["importlinter"]["contracts"]
    (found,) = [contract["layers"] for contract in contracts if contract["id"] == "layers"]
    return [[name.strip(" ()") for name in layer.split(":")] for layer in found]


def core_imports() -> dict[str, frozenset[str]]:
    """Which module or package directly below candy_core imports which other."""
    graph = grimp.build_graph("candy_core")
    names = {name for layer in layers() for name in layer}
    found: dict[str, set[str]] = {name: set() for name in names}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            one, other = _top(importer), _top(imported)
            if one in names and other in names and one != other:
                found[one].add(other)
    return {name: frozenset(imported) for name, imported in found.items()}


def reduced(edges: Mapping[str, Set[str]]) -> dict[str, frozenset[str]]:
    """The same edges without those that a longer way says too."""

    def reach(name: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
        return frozenset().union(*({other} | reach(other, seen | {name}) for other in edges[name] if other not in seen))

    return {
        name: frozenset(
            other for other in others if not any(other in reach(between) for between in others if between != other)
        )
        for name, others in edges.items()
    }


def picture() -> str:
    """The Mermaid block."""
    edges = [f"  {name} --> {other}" for name, other in _pairs(reduced(core_imports()))]
    return "\n".join(["```mermaid", "flowchart TB", *edges, "```"]) + "\n"


def _pairs(edges: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    return sorted((name, other) for name, others in edges.items() for other in others if not {name, other} & _HIDDEN)


def _top(module: str) -> str:
    return module.split(".")[1] if "." in module else ""
