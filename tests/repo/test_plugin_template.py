"""The template is a real distribution: it installs, its own tests pass, and the agent finds it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

TEMPLATE = Path(__file__).resolve().parents[2] / "contrib" / "plugin-template"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the template's wheel is importable, with its metadata."""
    folder = tmp_path_factory.mktemp("template")
    wheel = next(WheelBuilder(str(TEMPLATE)).build(directory=str(folder), versions=["standard"]))
    target = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return os.environ | {"PYTHONPATH": str(target)}


def test_its_own_tests_pass_wherever_it_is_copied_to(installed: dict[str, str], tmp_path: Path) -> None:
    copy = shutil.copytree(TEMPLATE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=copy, env=installed, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_agent_lists_it(installed: dict[str, str]) -> None:
    command = [sys.executable, "-m", "candy_core", "plugins"]
    done = subprocess.run(command, env=installed, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("disk")]
    assert "active" in line
    assert "candy-disk 0.1.0" in line
    assert "executor:disk" in line
