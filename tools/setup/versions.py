"""The version of a release, in every place that names it.

``versions.py check VERSION`` fails, and says why, where VERSION cannot be the next release; ``versions.py set VERSION``
writes it everywhere. The core, the plugins and the kits are released together and have one version; what is not
released (``contrib``, ``tools``) keeps its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
VERSION = r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?"
BOUND = re.compile(r"(candy-(?:core|kit-[a-z]+)(?:\[[a-z,]+\])?)>=[^,\s\"]+,<[\d.]+")
"""A requirement of a distribution of ours, as plugins, the template and documents have it."""
IMAGE = re.compile(rf"\b(candy-agent:){VERSION}")


def bounds(version: Version) -> str:
    """What a distribution of this release requires of another one: the same minor version or, from 1.0 on, major."""
    lower = str(version) if version.is_prerelease else f"{version.major}.{version.minor}"
    return f">={lower},<{version.major + 1 if version.major else f'0.{version.minor + 1}'}"


def chart_version(version: Version) -> str:
    """As Helm wants it, which reads semantic versions alone: ``1.0.0rc1`` gives ``1.0.0-rc.1``."""
    return version.base_version + (f"-{version.pre[0]}.{version.pre[1]}" if version.pre else "")


def rewritten(place: str, text: str, version: Version) -> str:
    """The text of a file of the checkout, as it is in this release."""
    text = IMAGE.sub(rf"\g<1>{version}", BOUND.sub(rf"\g<1>{bounds(version)}", text))
    if place == "candy_core/version.py":
        text = re.sub(rf'"{VERSION}"', f'"{version}"', text)
    elif re.fullmatch(r"(plugins/[^/]+/)?pyproject\.toml", place):
        text = re.sub(rf'^version = "{VERSION}"$', f'version = "{version}"', text, flags=re.MULTILINE)
    elif place.endswith("/Chart.yaml"):
        text = re.sub(r"^version: .*$", f"version: {chart_version(version)}", text, flags=re.MULTILINE)
        text = re.sub(r"^appVersion: .*$", f"appVersion: {version}", text, flags=re.MULTILINE)
    return text


def current() -> Version:
    """What the checkout says that it is."""
    match = re.search(rf'"({VERSION})"', (ROOT / "candy_core" / "version.py").read_text())
    assert match
    return Version(match[1])


def next_version(text: str) -> Version:
    """The version, if it can be the next release; raises ``SystemExit`` with the reason if not."""
    if not re.fullmatch(VERSION, text) or str(Version(text)) != text:
        raise SystemExit(f"{text!r} is not a version for a release: X.Y.Z, or X.Y.ZaN, X.Y.ZbN, X.Y.ZrcN (PEP 440)")
    version, now = Version(text), current()
    # The first release has the version that the checkout has had all along.
    released = f"\n## {now} (" in (ROOT / "CHANGELOG.md").read_text()
    if version < now or (version == now and released):
        raise SystemExit(f"{version} is not greater than {now}")
    return version


def main(action: str, text: str) -> None:
    """What the command line asks for."""
    version = next_version(text) if action == "check" else Version(text)
    if action == "set":
        listed = ("git", "ls-files", "*.md", "*.toml", "*.yaml", "candy_core/version.py")
        past = (":!.changes", ":!CHANGELOG.md")
        places = subprocess.run([*listed, *past], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for place in places.splitlines():
            path = ROOT / place
            before = path.read_text()
            if (after := rewritten(place, before, version)) != before:
                path.write_text(after)


if __name__ == "__main__":
    main(*sys.argv[1:])
