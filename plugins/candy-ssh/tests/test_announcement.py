"""What the plugin announces, and which settings it rejects."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from candy_core import Invalid, SettingsError, params_reader
from candy_ssh import plugin
from candy_ssh.settings import SshSettings


def test_listing_the_plugin_does_not_import_the_library() -> None:
    code = "import sys, candy_ssh.plugin as p; list(p.candy_executors()); sys.exit('asyncssh' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_a_command_of_ones_own_needs_its_scope() -> None:
    """Contract §3: "refused otherwise with ``not_allowed``"."""
    [spec] = plugin.candy_executors()
    free = params_reader.read({"host": "a", "command": "true"}, spec.params)
    bound = params_reader.read({"host": "a", "template": "uptime"}, spec.params)
    assert spec.scopes(free) == frozenset({"tasks:command"})
    assert spec.scopes(bound) == frozenset()


def test_every_setting_has_a_default_and_nothing_is_allowed_by_it() -> None:
    settings = params_reader.read({}, SshSettings)
    assert (settings.allowed_hosts, settings.allow_command, settings.known_hosts) == ((), False, None)


GATE = {"host": "gate", "credential": "ops"}
OPS = {"ops": {"password": "word-word"}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed_hosts": "a b"},
        {"credentials": {"ops": {}}},
        {"credentials": {"ops": {"password": "word-word", "private_key": "x"}}},
        {"credentials": {"ops": {"password": "word-word", "certificate": "x"}}},
        {"jump_hosts": {"gate": GATE}},
        {"jump_hosts": {"gate": {**GATE, "via": "gate"}}, "credentials": OPS},
        {"jump_hosts": {"gate": {**GATE, "via": "nobody"}}, "credentials": OPS},
        {"jump_hosts": {"a": {**GATE, "via": "b"}, "b": {**GATE, "via": "a"}}, "credentials": OPS},
        {"connect_timeout": "0"},
    ],
)
def test_settings_that_cannot_be_right_are_refused_and_their_secrets_kept(wrong: Any) -> None:
    with pytest.raises(Invalid) as refused:
        params_reader.read(wrong, SshSettings)
    assert "word-word" not in str(refused.value)


async def test_a_pinned_key_that_is_none_stops_the_plugin(open_agent: Any) -> None:
    with pytest.raises(SettingsError, match="host_keys: db1"):
        async with open_agent(host_keys={"db1": ["ssh-ed25519 nonsense"]}):
            pass


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"host": "a", "hosts": "b"},
        {"hosts": "a,b,A"},
        {"host": "a", "credential": "c", "password": "word-word"},
        {"host": "a", "password": "word-word", "private_key": "word-word"},
        {"host": "a", "passphrase": "word-word"},
        {"host": "a", "password": "word-word\0"},
        {"host": "a", "port": "0"},
        {"host": "a", "template": "t"},
    ],
)
def test_params_that_contradict_each_other_are_refused_and_their_secrets_kept(wrong: dict[str, str]) -> None:
    [spec] = plugin.candy_executors()
    with pytest.raises(Invalid) as refused:
        params_reader.read({"command": "true", **wrong}, spec.params)
    assert "word-word" not in str(refused.value)
