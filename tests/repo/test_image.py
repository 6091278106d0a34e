"""The image: built from the Dockerfile by buildah, and run with its root read-only, as the manifests run it.

What a container engine adds (namespaces, cgroups, seccomp) is not tried here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import frozen

from candy_testbed.requirement import required, skip_or_fail
from candy_testbed.server import LoopbackServer, MissingServer, answers

ROOT = Path(__file__).resolve().parents[2]
TAG = f"localhost/candy-agent:test-{os.getpid()}"
"""The store is the machine's: another checkout may be building its own there."""
USER = 65532

pytestmark = pytest.mark.timeout(900)  # the first build of a machine also makes the base image


@frozen
class Image:
    """What was built: its configuration, and its root folder."""

    config: Mapping[str, Any]
    root: Path

    def has(self, path: str) -> bool:
        """Whether there is anything at this absolute path."""
        return os.path.lexists(self.root / path.removeprefix("/"))


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    for program in ("buildah", "mmdebstrap"):
        if shutil.which(program) is None:
            skip_or_fail(MissingServer(program, program))
    if os.getuid() != 0:
        skip_or_fail(MissingServer("root", "", "root builds the image where there is no container engine"))
    built = subprocess.run([ROOT / "contrib/deploy/image/without-docker.sh", TAG], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-4000:]
    buildah = built.stdout.split()

    def ask(*arguments: str) -> str:
        return subprocess.run([*buildah, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    container = ask("from", TAG)
    try:
        described = json.loads(ask("inspect", "--type", "image", TAG))
        yield Image(described["OCIv1"]["config"], Path(ask("mount", container)))
    finally:
        ask("umount", container)
        ask("rm", container)
        ask("rmi", TAG)


class AgentInImage(LoopbackServer):
    """The image's own command, as its own user, on its own root, which is read-only."""

    program: ClassVar[str] = "unshare"
    package: ClassVar[str] = "util-linux"
    stop_timeout: ClassVar[float] = 120.0

    def __init__(self, image: Image) -> None:
        super().__init__()
        self._image = image

    def command(self) -> Sequence[str]:
        """Everything is ``exec``, so that the agent has the pid that is known here."""
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec chroot --userspec="$1" "$0" "${@:2}"'
        called = [*self._image.config["Entrypoint"], *self._image.config["Cmd"]]
        return ["--mount", "bash", "-c", script, str(self._image.root), self._image.config["User"], *called]

    def environment(self) -> dict[str, str]:
        """The image's own, and the address."""
        own = dict(entry.split("=", 1) for entry in self._image.config["Env"])
        own["PATH"] += ":/usr/sbin"  # the way to chroot
        return own | {"CANDY_LISTEN": self.address}

    def ready(self) -> bool:
        return answers(f"{self.url}/ready")


def test_it_has_neither_shell_nor_package_manager_nor_anything_to_download_with(image: Image) -> None:
    for program in ("sh", "bash", "dash", "busybox", "dpkg", "apt", "apt-get", "pip", "pip3", "perl", "curl", "wget"):
        assert not any(image.has(f"{folder}/{program}") for folder in ("/usr/bin", "/usr/sbin", "/opt/candy-agent/bin"))
    # Contract §3: where commands are wanted, their programs are named at the build (PACKAGES).
    assert image.has("/usr/bin/python3")


def test_it_says_by_number_that_it_is_not_root(image: Image) -> None:
    # Kubernetes' runAsNonRoot cannot tell from a name.
    assert image.config["User"] == f"{USER}:{USER}"
    assert list(image.config["ExposedPorts"]) == ["8888/tcp"]


def test_scanners_find_what_it_is_made_of(image: Image) -> None:
    packages = {path.name for path in (image.root / "var/lib/dpkg/status.d").iterdir()}
    assert {"libc6", "libssl3", "python3.11-minimal"} <= packages
    assert "\nVersion: " in (image.root / "var/lib/dpkg/status.d/libssl3").read_text()
    assert image.has("/usr/share/doc/libssl3/copyright")


def test_nothing_but_the_home_and_tmp_can_be_written_by_its_user(image: Image) -> None:
    found = subprocess.run(
        ["find", image.root, "-xdev", "(", "-uid", str(USER), "-o", "-perm", "-002", ")", "!", "-type", "l"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert sorted(path.removeprefix(str(image.root)) for path in found) == ["/home/candy", "/tmp"]


def test_nothing_of_the_machine_that_built_it_is_left(image: Image) -> None:
    left = [path for path in ("/source", "/root.sh", "/etc/apt", "/var/lib/apt", "/root") if image.has(path)]
    assert left == []
    assert not list((image.root / "opt/candy-agent/lib").rglob("tests"))


def test_the_agent_runs_on_a_read_only_root_and_ends_in_order(image: Image) -> None:
    """Contract §6: 200 from /ready; SIGTERM, exit 0."""
    with required(AgentInImage(image)) as agent:
        status = Path(f"/proc/{agent.pid}/status").read_text()
        assert f"\nUid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status
        assert answers(f"{agent.url}/health")
    assert agent.exit_code == 0
