"""``make release``, in a copy of the checkout: what it makes, what it refuses, and that it leaves nothing half done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
VERSION = "9.8.7"

pytestmark = pytest.mark.timeout(300)  # builds and installs every distribution


class Copy:
    """A git repository with the files of this checkout in one commit, and its ``.venv``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.git("init", "--quiet", "--initial-branch=main")
        (folder / ".git/info/exclude").write_text(".venv\n")
        (folder / ".venv").symlink_to(sys.prefix)
        self.git("config", "user.name", "Test")
        self.git("config", "user.email", "test@example.com")
        self.commit()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """What the command does in the repository, with the uv of this checkout."""
        uv = subprocess.run([ROOT / "tools/setup/uv.sh"], capture_output=True, text=True, check=True).stdout.strip()
        env = os.environ | {"PATH": f"{Path(uv).parent}:{os.environ['PATH']}"}
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)

    def git(self, *arguments: str) -> str:
        """What git prints."""
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self) -> None:
        """Everything as it is now."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")

    def release(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What ``make release`` runs."""
        return self.run("tools/setup/release.sh", *arguments)

    def state(self) -> tuple[str, ...]:
        """What a release changes, and what it could leave behind."""
        asked = (("rev-parse", "HEAD"), ("tag", "--list"), ("status", "--porcelain"), ("worktree", "list"))
        return (*(self.git(*each) for each in asked), str(sorted(self.folder.glob("dist/*"))))


@pytest.fixture
def small(tmp_path: Path) -> Copy:
    """With one plugin, so that a build takes a moment."""
    copy = Copy(tmp_path)
    for folder in tmp_path.glob("plugins/*"):
        if folder.name != "candy-callback":
            shutil.rmtree(folder)
    copy.commit()
    return copy


def metadata(wheel: Path) -> Message:
    """A wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))))


def requirements_of_ours(wheel: Path) -> Iterator[Requirement]:
    for line in metadata(wheel).get_all("Requires-Dist") or ():
        requirement = Requirement(line)
        if requirement.name.startswith("candy-"):
            yield requirement


def test_every_place_names_the_present_version(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    version = copy.run(".venv/bin/candy-agent", "--version").stdout.strip()
    done = copy.run(".venv/bin/python", "tools/setup/versions.py", "set", version)
    assert (done.returncode, copy.git("diff")) == (0, "")


def test_a_release_is_a_commit_a_tag_a_changelog_and_distributions_of_one_version(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    before = copy.git("rev-parse", "HEAD")
    done = copy.release(VERSION)
    assert done.returncode == 0, done.stderr

    assert copy.git("rev-parse", f"v{VERSION}^{{commit}}", "HEAD^") == f"{copy.git('rev-parse', 'HEAD')}\n{before}"
    assert copy.git("cat-file", "-t", f"v{VERSION}") == "tag"
    assert copy.git("branch", "--show-current") == "main"
    assert copy.git("status", "--porcelain") == ""
    assert f"\n## {VERSION} (" in (tmp_path / "CHANGELOG.md").read_text()
    assert copy.git("ls-files", ".changes") == ".changes/README.md"
    assert f'"{VERSION}"' in (tmp_path / "candy_core/version.py").read_text()
    chart = yaml.safe_load((tmp_path / "contrib/deploy/helm/candy-agent/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)
    assert f"image: candy-agent:{VERSION}\n" in (tmp_path / "contrib/deploy/kubernetes/candy-agent.yaml").read_text()

    dist = tmp_path / "dist" / VERSION
    names = [
        "candy-core",
        *(folder.name for folder in (ROOT / "plugins").iterdir() if (folder / "README.md").is_file()),
    ]
    files = [f"{n.replace('-', '_')}-{VERSION}{end}" for n in names for end in (".tar.gz", "-py3-none-any.whl")]
    assert sorted(path.name for path in dist.iterdir()) == sorted([*files, "SHA256SUMS"])
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=dist, check=False).returncode == 0
    for wheel in dist.glob("*.whl"):
        assert metadata(wheel)["Version"] == VERSION
        assert len(metadata(wheel).get_all("Project-URL") or ()) == 3
        with zipfile.ZipFile(wheel) as archive:
            inside = archive.namelist()
        assert any(name.endswith("/licenses/LICENSE") for name in inside)
        assert any(name.endswith("/py.typed") for name in inside)
        assert not any("tests/" in name for name in inside)
        for needed in requirements_of_ours(wheel):
            assert needed.specifier.contains(VERSION), needed
            assert not needed.specifier.contains("9.7.99"), needed
            assert not needed.specifier.contains("10.0.0"), needed
    with tarfile.open(dist / f"candy_core-{VERSION}.tar.gz") as archive:
        top = {name.split("/")[1] for name in archive.getnames()}
    assert top == {
        ".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "candy_core", "pyproject.toml"
    }  # fmt: skip

    again = copy.release(VERSION)
    assert (again.returncode, again.stderr) == (1, f"release.sh: the tag v{VERSION} exists\n")
    copy.git("tag", "--delete", f"v{VERSION}")
    again = copy.release(VERSION)
    assert (again.returncode, again.stderr) == (1, f"{VERSION} is not greater than {VERSION}\n")


def test_a_dry_run_does_all_of_it_and_changes_nothing(small: Copy) -> None:
    before = small.state()
    done = small.release("1.0.0rc1", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1.0.0rc1 can be released" in done.stderr
    assert small.state() == before


def edited(path: str, old: str, new: str) -> Callable[[Path], object]:
    """A change of one file."""

    def change(folder: Path) -> None:
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "plugins/candy-callback/README.md").unlink(), "README.md"),
        (edited("plugins/candy-callback/src/candy_callback/plugin.py", "import", "import no_such_module, "), "active"),
        (
            edited("plugins/candy-callback/pyproject.toml", '"attrs>=24.2"', '"candy-kit-kube>=0.1,<0.2"'),
            "candy-kit-kube",
        ),
    ],
    ids=["does not build", "does not load", "requires what is not here"],
)
def test_a_release_that_fails_leaves_nothing_behind(small: Copy, change: Callable[[Path], object], said: str) -> None:
    change(small.folder)
    small.commit()
    before = small.state()
    done = small.release(VERSION)
    assert done.returncode != 0
    assert said in done.stderr
    assert small.state() == before


def test_what_cannot_be_released_is_refused_before_anything_is_done(small: Copy) -> None:
    refused = {
        "": "which version?",
        "banana": "not a version",
        "1.2": "not a version",
        "v1.2.3": "not a version",
        "1.2.3.dev1": "not a version",
        "01.2.3": "not a version",
        "0.0.1": "is not greater than",
        "--upload": "unknown option --upload",
    }
    before = small.state()
    for version, why in refused.items():
        done = small.release(version)
        assert (done.returncode, why in done.stderr) == (1, True), (version, done.stderr)
    assert small.state() == before

    (small.folder / "note.txt").touch()
    done = small.release(VERSION)
    assert (done.returncode, "not committed" in done.stderr) == (1, True)
    small.commit()
    small.git("checkout", "--quiet", "--detach")
    done = small.release(VERSION)
    assert (done.returncode, "no branch" in done.stderr) == (1, True)
