"""What may import what: import-linter's contracts cover every distribution, and fail on each kind of violation."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {path.name: path for path in [ROOT / "candy_core", *ROOT.glob("plugins/*/src/candy_*")]}
KITS = sorted(name for name in PACKAGES if name.startswith("candy_kit_"))
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {contract["id"]: contract for contract in CONFIGURATION["contracts"]}

ALLOWED = {
    "candy_prometheus": "import candy_core.testing.executor\nfrom candy_core import Outcome, task_store, testing",
    "candy_kit_rules": "from candy_kit_promql import Endpoint",
}
FORBIDDEN = {
    "candy_bash": ("from candy_core.engine import scheduler", "candy_core.engine"),
    "candy_callback": ("from candy_core import backoff", "candy_core.backoff"),
    "candy_prometheus": ("import candy_victoriametrics", "candy_victoriametrics"),
    "candy_victoriametrics": ("from candy_kit_promql.wire import Reply", "candy_kit_promql.wire"),
    "candy_kit_rules": ("from candy_kit_promql import client", "candy_kit_promql.client"),
    "candy_kit_command": ("import candy_bash", "candy_bash"),
    "candy_core": ("import candy_kit_kube", "candy_kit_kube"),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of all packages, side by side, and of the configuration."""
    for name, path in PACKAGES.items():
        shutil.copytree(path, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(checkout: Path) -> tuple[int, str]:
    """The exit code and the output of import-linter there."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    found = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    return found.returncode, found.stdout + found.stderr


def test_every_distribution_is_in_the_contracts() -> None:
    layers = CONTRACTS["distributions"]["layers"]
    assert sorted(name for layer in layers for name in layer.split(" | ")) == sorted(PACKAGES)
    assert sorted(CONFIGURATION["root_packages"]) == sorted(PACKAGES)
    protected = [each["protected_modules"] for each in CONTRACTS.values() if each["type"] == "protected"]
    assert sorted(protected) == sorted([f"{name}.*"] for name in ["candy_core", *KITS])


def test_what_is_public_may_be_imported(checkout: Path) -> None:
    for package, source in ALLOWED.items():
        (checkout / package / "made_up.py").write_text(source + "\n")
    code, output = lint(checkout)
    assert code == 0, output


def test_every_violation_is_found(checkout: Path) -> None:
    for package, (source, _) in FORBIDDEN.items():
        (checkout / package / "made_up.py").write_text(source + "\n")
    code, output = lint(checkout)
    assert code != 0
    words = " ".join(output.split())
    for package, (_, imported) in FORBIDDEN.items():
        assert f"{package}.made_up -> {imported}" in words, package


@cache
def imported_modules(file: Path) -> frozenset[str]:
    """The modules and names that a file imports, anywhere in it."""
    return frozenset(_imports(ast.parse(file.read_text())))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


@pytest.mark.parametrize("kit", KITS)
def test_only_a_kits_own_distribution_and_tests_import_its_modules(kit: str) -> None:
    """No contract covers tests and tools."""
    home = PACKAGES[kit].parents[1]
    inner = {f"{kit}.{path.stem}" for path in PACKAGES[kit].iterdir()} - {f"{kit}.__init__"}
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name and home not in (ROOT / name).parents]
    assert len(files) > 100
    assert {str(file) for file in files if inner & imported_modules(file)} == set()
