"""What importing costs."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_kit_imports_neither_kubernetes_nor_aiohttp() -> None:
    """The agent starts as fast with it as without: `kubernetes` weighs 75 MB and a second of import."""
    program = "import candy_kit_kube, sys; print([each for each in ('kubernetes', 'aiohttp') if each in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"


def test_one_module_knows_the_kubernetes_package() -> None:
    """It is imported in one place, and so can be replaced in one."""
    import ast
    from pathlib import Path

    import candy_kit_kube

    knowing = []
    for path in Path(candy_kit_kube.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.split(".")[0] == "kubernetes" for name in names):
                knowing.append(path.name)
    assert set(knowing) == {"library.py"}
