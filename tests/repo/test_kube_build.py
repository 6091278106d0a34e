"""The script that builds the cluster's programs: when it does nothing, and that it leaves nothing half done.

That what it builds runs is what every test of a cluster shows.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "tools" / "testbed" / "kube" / "build.sh"
RECIPE = (ROOT / "tools" / "testbed" / "src" / "candy_testbed" / "kube" / "recipe.txt").read_text().strip()


def program(path: Path, text: str = "exit 0") -> None:
    """Make an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def build(cache: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the script with ``cache`` for the cache folder, and an apt-get that can do nothing."""
    broken = cache.parent / "bin"
    program(broken / "apt-get", "echo 'E: there is no network' >&2; exit 100")
    surroundings = {"PATH": f"{broken}{os.pathsep}{os.environ['PATH']}", "XDG_CACHE_HOME": str(cache)} | env
    return subprocess.run([str(BUILD)], env=surroundings, capture_output=True, text=True, timeout=300, check=False)


def test_what_is_built_is_not_built_again(tmp_path: Path) -> None:
    home = tmp_path / "cache" / "candy-agent" / "kube" / RECIPE
    home.mkdir(parents=True)
    told = build(tmp_path / "cache")
    assert (told.returncode, told.stderr) == (0, "")
    assert list(home.iterdir()) == []


def test_nothing_is_built_where_envtests_programs_are(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver"):
        program(tmp_path / "assets" / name)
    told = build(tmp_path / "cache", KUBEBUILDER_ASSETS=str(tmp_path / "assets"))
    assert (told.returncode, told.stderr) == (0, "")
    assert not (tmp_path / "cache").exists()


def test_a_folder_of_envtest_that_lacks_a_program_is_told(tmp_path: Path) -> None:
    program(tmp_path / "assets" / "etcd")
    told = build(tmp_path / "cache", KUBEBUILDER_ASSETS=str(tmp_path / "assets"))
    assert told.returncode == 1
    assert f"KUBEBUILDER_ASSETS={tmp_path / 'assets'} has no kube-apiserver" in told.stderr


def test_a_build_that_fails_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    base = tmp_path / "cache" / "candy-agent" / "kube"
    (base / ".building" / "left-by-a-killed-one").mkdir(parents=True)
    told = build(tmp_path / "cache")
    assert told.returncode == 1
    if Path("/etc/debian_version").exists():
        assert "there is no network" in told.stderr
    assert [path.name for path in base.iterdir()] == [".lock"]


@pytest.mark.skipif(not shutil.which("flock"), reason="flock is not installed: sudo apt-get install util-linux")
def test_a_build_waits_for_another_one_and_takes_what_that_built(tmp_path: Path) -> None:
    base = tmp_path / "candy-agent" / "kube"
    base.mkdir(parents=True)
    program(tmp_path / "bin" / "apt-get", "exit 100")
    env = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path)}
    with (base / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen([str(BUILD)], env=env, stderr=subprocess.PIPE, text=True) as second:
            assert second.stderr is not None
            assert "waiting for another build" in second.stderr.readline()
            (base / RECIPE).mkdir()
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert second.stderr.read() == ""
            assert second.wait(timeout=60) == 0


@pytest.mark.parametrize("required", ["", "all"])
def test_a_cluster_that_cannot_be_built_fails_only_who_requires_it(tmp_path: Path, required: str) -> None:
    servers = ROOT / "tools" / "setup" / "servers.sh"
    env = {"PATH": os.environ["PATH"], "KUBEBUILDER_ASSETS": str(tmp_path), "CANDY_TEST_REQUIRE": required}
    lists = [servers.with_name(name) for name in ("servers.txt", "kube-clients.txt")]
    if any(not _installed(line.split()[0]) for each in lists for line in _servers_of(each)):
        pytest.skip("this script would install the other servers first")
    told = subprocess.run(
        [str(servers), "--optional", "--kube"], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert "no Kubernetes API server" in told.stderr
    assert told.returncode == (1 if required else 0)


def _servers_of(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def _installed(name: str) -> bool:
    folders = [*os.environ["PATH"].split(os.pathsep), "/usr/sbin"]
    return any((Path(folder) / name).exists() for folder in folders)
