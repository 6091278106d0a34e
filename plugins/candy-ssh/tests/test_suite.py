"""The contract suite of executors."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from candy_core.testing.executor import Case, ExecutorSuite, Oversized, Process, Subject
from candy_ssh import plugin
from candy_testbed import Sshd

SECRET = "an-unused-secret-word"


class TestSsh(ExecutorSuite):
    @pytest.fixture
    def subject(self, sshd: Sshd, ssh_keys: Path, tmp_path: Path) -> Subject:
        known = tmp_path / "known_hosts"
        known.write_text(sshd.known_hosts())
        username = pwd.getpwuid(os.geteuid()).pw_name
        [spec] = plugin.candy_executors()
        here = {"host": "127.0.0.1", "port": str(sshd.port), "credential": "login"}
        key = (ssh_keys / "login").read_text()

        def of_the_server(process: Process) -> bool:
            """The server's own. What it started for us is not: here "the other side" is this machine."""
            return process.name.startswith("sshd")

        return Subject(
            plugin="ssh",
            spec=spec,
            settings={
                "allowed_hosts": "127.0.0.0/8",
                "known_hosts": str(known),
                "allow_command": "true",
                "connect_timeout": "5",
                "credentials": {"login": {"username": username, "private_key": key}},
            },
            ordinary=[
                Case(params={**here, "command": "echo 7", "threshold": "8"}, value="7"),
                Case(params={**here, "host": None, "hosts": "127.0.0.1", "template": "uptime"}),
            ],
            failures=[
                Case(params={**here, "host": "10.0.0.1", "command": "true"}, reason="not_allowed"),
                Case(params={**here, "host": "-oProxyCommand=x", "command": "true"}, reason="bad_params"),
                Case(params={**here, "host": "127.0.0.2", "command": "true"}, reason="host_key_mismatch"),
                Case(
                    params={**here, "credential": None, "username": username, "password": SECRET, "command": "true"},
                    reason="auth_failed",
                ),
                Case(params={**here, "command": "exit 3"}, reason="exit_code"),
                Case(params={**here, "template": "no such"}, reason="bad_params"),
            ],
            endless=[
                {**here, "command": "sleep 600"},
                {**here, "command": "trap '' TERM; while :; do sleep 600; done"},
            ],
            oversized=[
                Oversized(params={**here, "command": "head -c 50000000 /dev/urandom"}, reason="ok", seconds=15),
                Oversized(params={**here, "command": "yes"}, reason="timeout", seconds=1.5),
            ],
            numbered=lambda number: Case(params={**here, "command": f"echo {number}"}, value=str(number)),
            secrets=[SECRET, key.splitlines()[2]],
            stop_within=2.0,
            not_ours=of_the_server,
        )
