"""What holds for the checkout as a whole: where things are, how long they are, what they may name and import."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 320
"""Lines of a module; past that it has two subjects."""
LONGEST_OF_TESTS = 500
"""Tests of one subject may need more: a table of cases is no second subject."""

TOP_LEVEL = {
    ".changes", ".ci", ".devcontainer", ".dockerignore", ".editorconfig", ".github", ".gitignore", ".gitlab",
    ".gitlab-ci.yml", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "Makefile",
    "README.md", "README.zh.md", "SECURITY.md", "candy_core", "contrib", "docs", "plugins", "pyproject.toml",
    "requirements.lock", "tests", "tools",
}  # fmt: skip
INSIDE = {
    "contrib": {"README.md", "candy-server", "demo", "deploy", "plugin-template"},
    "contrib/deploy": {"helm", "image", "kubernetes"},
    "tools": {"README.md", "bench", "docs", "setup", "testbed"},
}
"""What these folders have: ``contrib`` what a user copies or runs, ``tools`` what a developer runs."""

OF_NO_PACKAGE = {"agent", "deployment", "docs", "repo"}
"""Folders of tests of the whole agent, its deployment, the documents and the repository."""

# Written so that this file does not name them itself.
INDEX_HOSTS = [
    "pypi" + ".org", "python" + "hosted.org", "npmjs" + ".org", "deb." + "debian.org", "proxy." + "golang.org",
    "crates" + ".io", "file:" + "///opt",
]  # fmt: skip
HOME_PATHS = re.compile(r"(?<![\w.$}])/(?:root|work|Users/\w+|home/\w+)/[\w.]")


def tracked() -> tuple[Path, ...]:
    """Every file that git tracks, or would: new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = listed.stdout.split("\0")
    return tuple(sorted(path for name in names if name and (path := ROOT / name).is_file()))


FILES = tracked()
MODULES = tuple(path for path in FILES if path.suffix == ".py")
SHIPPED = tuple(path for path in MODULES if "tests" not in path.parts)
DISTRIBUTIONS = tuple(path.parent for path in FILES if path.name == "pyproject.toml")
PLUGINS = tuple(folder for folder in DISTRIBUTIONS if folder.parent == ROOT / "plugins")


def shown(path: Path) -> str:
    """The path as a message names it."""
    return str(path.relative_to(ROOT))


def pyproject(folder: Path) -> dict[str, Any]:
    """A distribution's pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text())


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, in full; ``from a import b`` gives ``a``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_nothing_else_lies_at_the_top() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in FILES}
    assert found - TOP_LEVEL == set()
    for folder, allowed in INSIDE.items():
        inside = (path.relative_to(ROOT / folder) for path in FILES if path.is_relative_to(ROOT / folder))
        assert {path.parts[0] for path in inside} - allowed == set()


def test_tests_are_where_what_they_test_is() -> None:
    """``tests/engine`` for ``candy_core/engine``, ``tests/test_keys.py`` for ``candy_core/keys.py``."""
    packages = {path.parent.name for path in (ROOT / "candy_core").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "candy_core").glob("*.py")} | {"public_names"}
    own = [path.relative_to(ROOT / "tests").parts for path in MODULES if path.is_relative_to(ROOT / "tests")]
    assert {parts[0] for parts in own if len(parts) > 1} - OF_NO_PACKAGE <= packages
    assert {parts[0] for parts in own if len(parts) == 1} - {"conftest.py"} <= {f"test_{name}.py" for name in modules}


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=shown)
def test_every_distribution_has_one_shape(folder: Path) -> None:
    project = pyproject(folder)["project"]
    assert project["license"] == "MIT"
    assert project["requires-python"] == ">=3.11"
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (folder / "README.md").is_file()
    if folder.parent == ROOT / "plugins":
        assert project["urls"] == pyproject(ROOT)["project"]["urls"]
        package = folder.name.replace("-", "_")
        assert folder.name.startswith("candy-")
        assert project["name"] == folder.name
        assert (folder / "src" / package / "__init__.py").is_file()
        assert (folder / "src" / package / "py.typed").is_file()
        assert any(path.is_relative_to(folder / "tests") for path in MODULES), "it has no tests"


@pytest.mark.parametrize("folder", PLUGINS, ids=shown)
def test_a_plugin_has_an_entry_point_and_a_kit_has_none(folder: Path) -> None:
    points = pyproject(folder)["project"].get("entry-points", {}).get("candy", {})
    if folder.name.startswith("candy-kit-"):
        assert not points
    else:
        assert points
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in points)


def test_no_module_has_two_subjects() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in MODULES}
    allowed = {path: LONGEST_OF_TESTS if "tests" in path.parts else LONGEST for path in MODULES}
    assert {shown(path): count for path, count in lines.items() if count > allowed[path]} == {}


def test_no_module_is_named_for_nothing() -> None:
    assert [shown(path) for path in MODULES if path.stem in {"utils", "util", "helpers", "common", "misc"}] == []


def test_no_text_names_a_package_index_or_somebodys_home() -> None:
    found = []
    for path in FILES:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{shown(path)}: {host}" for host in INDEX_HOSTS if host in text]
        found += [f"{shown(path)}: {match[0]}" for match in HOME_PATHS.finditer(text)]
    assert found == []


def test_every_public_name_says_what_it_is() -> None:
    silent = []
    for path in SHIPPED:
        tree = ast.parse(path.read_text())
        if path.name != "__main__.py" and tree.body and ast.get_docstring(tree) is None:
            silent.append(shown(path))
        silent += [f"{shown(path)}: {name}" for name in _undocumented(tree, "")]
    assert silent == []


def _undocumented(parent: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for node in parent.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        # A method that takes the place of a base's is described there; a property's setter at its getter.
        inherits = isinstance(parent, ast.ClassDef) and bool(parent.bases)
        if not inherits and ast.get_docstring(node) is None and not _is_overload(node):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(node, f"{prefix}{node.name}.")


def _is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any(ast.unparse(mark).rpartition(".")[2] in {"overload", "setter"} for mark in node.decorator_list)


def test_the_core_imports_no_plugin_and_none_of_the_heavy_clients() -> None:
    packages = {folder.name.replace("-", "_") for folder in PLUGINS}
    forbidden = packages | {"kubernetes", "asyncssh"}
    core = [path for path in SHIPPED if path.is_relative_to(ROOT / "candy_core")]
    found = [f"{shown(path)}: {name}" for path in core for name in imports(path) if name.split(".")[0] in forbidden]
    assert found == []


@pytest.mark.parametrize("folder", PLUGINS, ids=shown)
def test_a_plugin_imports_the_cores_public_face_and_kits_alone(folder: Path) -> None:
    own = folder.name.replace("-", "_")
    kits = {other.name.replace("-", "_") for other in PLUGINS if other.name.startswith("candy-kit-")}
    declared = {canonicalize_name(Requirement(line).name) for line in pyproject(folder)["project"]["dependencies"]}
    for path in SHIPPED:
        if not path.is_relative_to(folder):
            continue
        for name in imports(path):
            top = name.split(".")[0]
            if top == "candy_core":
                assert name == "candy_core", f"{shown(path)} imports {name}, which is the core's own affair"
            elif top.startswith("candy_") and top != own:
                assert top in kits, f"{shown(path)} imports {name}, another plugin"
            if top.startswith("candy_") and top != own:
                assert top.replace("_", "-") in declared, f"{shown(folder)} does not declare {top}"


def test_the_lock_has_every_requirement_and_an_address_of_none() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pins: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", lock, re.MULTILINE):
        pins.setdefault(canonicalize_name(name), []).append(version)
    ours = {canonicalize_name(pyproject(folder)["project"]["name"]) for folder in DISTRIBUTIONS}
    wanted: list[str] = []
    for folder in DISTRIBUTIONS:
        document = pyproject(folder)
        wanted += document["project"].get("dependencies", [])
        wanted += [line for extra in document["project"].get("optional-dependencies", {}).values() for line in extra]
        wanted += [line for group in document.get("dependency-groups", {}).values() for line in group]
    for line in wanted:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name not in ours:
            fits = [version for version in pins.get(name, ()) if requirement.specifier.contains(version, True)]
            assert fits, f"{line}: requirements.lock has {pins.get(name, 'nothing')}; run make lock"


def test_the_readmes_commands_are_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for readme in ("README.md", "README.zh.md"):
        text = (ROOT / readme).read_text()
        named = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
        assert {"demo", "test", "check"} <= named
        assert named <= targets, f"{readme} names {named - targets}"


def test_the_version_is_one_and_the_changelog_knows_of_it() -> None:
    version = pyproject(ROOT)["project"]["version"]
    assert f'"{version}"' in (ROOT / "candy_core" / "version.py").read_text()
    released = f"## {version} " in (ROOT / "CHANGELOG.md").read_text()
    waiting = [path for path in (ROOT / ".changes").iterdir() if path.name != "README.md"]
    assert released or waiting


def test_changelog_fragments_are_named_as_towncrier_reads_them() -> None:
    kinds = {kind["directory"] for kind in pyproject(ROOT)["tool"]["towncrier"]["type"]}
    for path in FILES:
        if path.parent == ROOT / ".changes" and path.name != "README.md":
            _, kind, suffix = path.name.rsplit(".", 2)
            assert (kind in kinds, suffix) == (True, "md"), path.name
            assert path.read_text().strip()
