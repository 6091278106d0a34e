"""Where the programs of a cluster are: envtest's folder, else what ``tools/testbed/kube/build.sh`` made."""

from __future__ import annotations

import os
from pathlib import Path

from candy_testbed.server import MissingServer

ASSETS = "KUBEBUILDER_ASSETS"
"""Envtest's variable: a folder with ``etcd`` and ``kube-apiserver``, maybe with ``kube-controller-manager``."""


def folder() -> Path:
    """Where the programs are looked for, whether or not they are there."""
    assets = os.environ.get(ASSETS)
    if assets:
        return Path(assets)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    recipe = (Path(__file__).with_name("recipe.txt")).read_text().strip()
    return cache / "candy-agent" / "kube" / recipe


def find(program: str) -> str:
    """The path of a program of the cluster. Raises :class:`MissingServer`."""
    path = folder() / program
    if path.is_file() and os.access(path, os.X_OK):
        return str(path)
    remedy = (
        f"there is no {program} in {ASSETS}={path.parent}"
        if os.environ.get(ASSETS)
        else f"{program} has not been built yet: run tools/testbed/kube/build.sh, or set {ASSETS}"
    )
    raise MissingServer(program, "", remedy)
