"""The cost of importing the kit."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_kit_imports_neither_kubernetes_nor_aiohttp() -> None:
    """The kit must not slow down the agent's start: `kubernetes` takes 75 MB and a second to import."""
    program = "import candy_kit_kube, sys; print([each for each in ('kubernetes', 'aiohttp') if each in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"


def test_only_one_module_imports_the_kubernetes_package() -> None:
    """So that it can be replaced in one place."""
    import ast
    from pathlib import Path

    import candy_kit_kube

    importing = []
    for path in Path(candy_kit_kube.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.split(".")[0] == "kubernetes" for name in names):
                importing.append(path.name)
    assert set(importing) == {"kubernetes_package.py"}
