"""Two testbeds on one machine, be they two workers' or two checkouts', do not disturb each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from candy_testbed import Sshd, ssh_keygen
from candy_testbed.fixtures import required

PRELUDE = """
import json, os, shutil, sys
from pathlib import Path
from candy_testbed import Sshd
from candy_testbed.ssh_hosts import USER, accounts, hosts

folder = Path(sys.argv[1])
public = (folder / "login.pub").read_text()
"""
TESTBED = """
with hosts(folder, count=3) as found, Sshd(authorized=[public], accounts=accounts()) as sshd:
    (folder / "known").write_text(sshd.known_hosts() + found.known_hosts)
    places = [{"user": found.user, "port": found.port, "host": host} for host in found.good]
    if accounts():
        places.append({"user": USER, "port": sshd.port, "host": "127.0.0.1"})
    print(json.dumps(places), flush=True)
    sys.stdin.read()
"""
WITH_A_NEW_PASSWD = """
with Sshd(authorized=[public], accounts=accounts()) as sshd:
    shutil.copy("/etc/passwd", "/etc/passwd+")
    os.replace("/etc/passwd+", "/etc/passwd")
    (folder / "known").write_text(sshd.known_hosts())
    print(json.dumps([{"user": USER, "port": sshd.port, "host": "127.0.0.1"}]), flush=True)
    sys.stdin.read()
"""
OWN_ETC = ("unshare", "--mount", "sh", "-c", 'set -e; cp -a /etc "$0"; mount --bind "$0/etc" /etc; exec "$@"')
"""Runs a program for which /etc is a copy, in the folder that is the first argument."""


def login_name(folder: Path, *, host: str, port: int, user: str) -> str:
    """Who one is over there, after logging in with the key in ``folder``."""
    options = {"UserKnownHostsFile": folder / "known", "StrictHostKeyChecking": "yes", "BatchMode": "yes"}
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    asked = ["ssh", "-F", "none", "-i", str(folder / "login"), "-p", str(port), *words, f"{user}@{host}", "id -un"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def process(script: str, folder: Path, within: Sequence[str | Path] = ()) -> Iterator[list[dict[str, Any]]]:
    """A testbed in a process of its own, until the end of the context: where to log in, with the key in ``folder``."""
    ssh_keygen(folder / "login")
    command = [*within, sys.executable, "-c", PRELUDE + script, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield json.loads(running.stdout.readline())
        running.communicate()
    assert running.returncode == 0


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder for each of two testbeds."""
    found = (tmp_path / "one", tmp_path / "other")
    for folder in found:
        folder.mkdir()
    return found


def test_each_has_hosts_and_users_of_its_own_and_takes_none_of_the_others_along(folders: tuple[Path, Path]) -> None:
    with required(Sshd()):
        pass
    one, other = folders
    with process(TESTBED, one) as mine:
        with process(TESTBED, other) as others:
            for folder, places in ((one, mine), (other, others)):
                assert [login_name(folder, **place) for place in places] == [place["user"] for place in places]
        assert [login_name(one, **place) for place in mine] == [place["user"] for place in mine]
    pairs = {(place["host"], place["port"]) for place in [*mine, *others]}
    assert len(pairs) == len(mine) + len(others)
    if os.geteuid() == 0:
        assert mine[-1]["user"] != others[-1]["user"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give an sshd users of its own")
def test_a_user_of_the_testbed_stays_when_the_machine_gets_a_new_list_of_users(tmp_path: Path) -> None:
    """As by the installation of a package with a user of its own, which another testbed may have asked for."""
    with required(Sshd()), process(WITH_A_NEW_PASSWD, tmp_path, [*OWN_ETC, tmp_path]) as [place]:
        assert login_name(tmp_path, **place) == place["user"]
