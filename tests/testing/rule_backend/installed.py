"""Installs plugins of tests as a real distribution: metadata in a folder on ``sys.path``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def installed(site: Path, **plugins: str) -> Iterator[None]:
    """Install plugins, by name and module of the entry point, while the context is open."""
    info = site / "candy_folder-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: candy-folder\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"{name} = {module}" for name, module in plugins.items()]
    (info / "entry_points.txt").write_text("\n".join(["[candy]", *lines, ""]), encoding="utf-8")
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(site))
        importlib.invalidate_caches()
