"""What the plugin needs on a host or in an image: templates need neither a shell nor util-linux."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from candy_bash import exec_with_limits
from candy_testbed.requirement import skip_or_fail
from candy_testbed.server import MissingServer

SCRIPT = 'mount --bind /usr/bin "$0/programs" && mount --bind "$0/left" /usr/bin && exec "$@"'
HIDDEN = {"sh", "bash", "dash", "ash", "rbash", "ksh", "zsh", "busybox", "prlimit"}
UNSHARE = ("unshare", "--map-root-user", "--mount", "--")
LIMITS = {"cpu": 7, "memory": 400_000_000, "files": 64, "processes": 500}

OnBareHost = Callable[..., dict[str, Any]]


@pytest.fixture
def on_bare_host(tmp_path: Path) -> OnBareHost:
    """Run items there, with these settings."""
    if not Path("/bin").is_symlink():
        skip_or_fail(MissingServer("usrmerge", "usrmerge", "/bin is not /usr/bin here, and only that is replaced"))
    try:
        subprocess.run([*UNSHARE, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        skip_or_fail(MissingServer("unshare", "util-linux", "unshare (of util-linux) makes no namespaces here"))
    for name in ("programs", "left"):
        (tmp_path / name).mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name not in HIDDEN:
            (tmp_path / "left" / program.name).symlink_to(tmp_path / "programs" / program.name)
    templates = tmp_path / "templates.yaml"
    templates.write_text("templates: {limits: {argv: [cat, /proc/self/limits]}, gone: {argv: [no-such-program]}}")

    def run(settings: dict[str, Any], *items: dict[str, Any]) -> dict[str, Any]:
        host = [sys.executable, str(Path(__file__).with_name("bare_host.py"))]
        given = [json.dumps(each) for each in ({"templates": str(templates), **settings}, *items)]
        done = subprocess.run(
            [*UNSHARE, "bash", "-c", SCRIPT, str(tmp_path), *host, *given], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


def test_templates_need_no_shell(on_bare_host: OnBareHost) -> None:
    """Contract §3: "The catalogue holds argv lists with typed parameters"; `command` is refused as it was."""
    found = on_bare_host({}, {"template": "disk_usage"}, {"template": "gone"}, {"command": "id"})
    assert [(reason, code) for reason, code, *_ in found["outcomes"]] == [
        ("ok", 0),
        ("exit_code", 127),
        ("not_allowed", None),
    ]
    assert found["health"] == [True, ""]


def test_free_form_commands_need_one(on_bare_host: OnBareHost) -> None:
    """Contract §7: "a wrong value of a plugin's setting makes that plugin `failed`"."""
    found = on_bare_host({"allow_command": True})
    assert found == {"error": "shell: /bin/sh is not a program that the agent may run"}


def test_limits_need_no_prlimit(on_bare_host: OnBareHost) -> None:
    found = on_bare_host({"limits": LIMITS}, {"template": "limits"}, {"template": "gone"})
    [(reason, _, details, _), (_, code, _, message)] = found["outcomes"]
    assert reason == "ok"
    shown = " ".join(details.split())
    for line in (
        "Max cpu time 7 7",
        "Max address space 400000000 400000000",
        "Max open files 64 64",
        "Max processes 500 500",
    ):
        assert line in shown
    assert (code, "no-such-program" in message) == (127, True)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["cpu=9", "nofile=64", "--", "/bin/cat", "/proc/self/limits"], 0, ""),
        ([f"nofile={2**40}", "--", "/bin/true"], 1, "the limit nofile=1099511627776 cannot be set"),
        (["cpu=9", "--", "/etc/passwd"], 126, "/etc/passwd: Permission denied"),
    ],
)
def test_a_command_starts_with_its_limits_or_not_at_all(arguments: list[str], code: int, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", exec_with_limits.__file__, *arguments], check=False, capture_output=True, text=True
    )
    assert (done.returncode, expected in done.stderr) == (code, True), done.stderr
    if not code:
        assert "Max cpu time 9 9" in " ".join(done.stdout.split())
