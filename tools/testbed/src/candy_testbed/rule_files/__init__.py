"""Rule files in the shapes that people write, and that the rule backends must take as they are."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def rule_files(kind: str) -> tuple[Path, ...]:
    """Those of ``prometheus`` or ``victoriametrics``."""
    return tuple(sorted((_FOLDER / kind).glob("*.yaml")))


def rule_file_id(path: Path) -> str:
    """How a test calls it."""
    return path.stem
