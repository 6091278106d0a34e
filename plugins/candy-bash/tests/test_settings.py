"""The plugin's settings, and what they need on this host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from candy_bash import termination
from candy_bash.settings import BashSettings
from candy_core import Invalid, SettingsError, params_reader
from candy_core.hosting.calls import CANCEL_GRACE


def read(**settings: Any) -> BashSettings:
    return params_reader.read(settings, BashSettings)


def test_the_defaults_allow_templates_and_nothing_else() -> None:
    """Contract §7: '`CANDY_BASH_ALLOW_COMMAND` … free-form commands, off'."""
    settings = read()
    assert settings.allow_command is False
    assert settings.builtin_templates is True
    assert settings.limits.bounds() == {}


def test_settings_may_all_be_texts() -> None:
    settings = read(
        allow_command="true",
        templates="/etc/a.yaml,/etc/b.yaml",
        env='{"TZ": "UTC"}',
        limits='{"cpu": "10", "files": "64"}',
        umask="027",
        grace="0.5",
    )
    assert settings.templates == (Path("/etc/a.yaml"), Path("/etc/b.yaml"))
    assert settings.limits.bounds() == {"cpu": 10, "nofile": 64}
    assert settings.umask.bits == 0o027
    assert str(settings.umask) == "0027"


@pytest.mark.parametrize(
    "settings",
    [
        {"umask": 22},
        {"umask": "0999"},
        {"cwd": "tmp"},
        {"shell": "bash"},
        {"env": {"A=B": "c"}},
        {"env": {"A": "b\0c"}},
        {"env": {"CANDY_RUN": "mine"}},
        {"limits": {"memory": 5}},
        {"limits": {"core": 5}},
        {"grace": 10},
    ],
    ids=str,
)
def test_wrong_settings_are_rejected(settings: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        read(**settings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"shell": "/no/such/shell"}, "shell: /no/such/shell"),
        ({"cwd": "/no/such/folder"}, "cwd: /no/such/folder"),
        ({"user": "no-such-user"}, "user: this host has no user no-such-user"),
        ({"templates": "/no/such/file"}, "templates: /no/such/file cannot be read"),
    ],
)
async def test_what_this_host_lacks_is_named_when_the_plugin_is_opened(
    open_agent: Any, settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(SettingsError) as error:
        async with open_agent(**settings):
            pass
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


async def test_another_user_requires_root(open_agent: Any) -> None:
    if os.geteuid() == 0:
        pytest.skip("this is root")
    with pytest.raises(SettingsError, match="must run as root"):
        async with open_agent(user="root"):
            pass


async def test_another_shell(open_agent: Any) -> None:
    async with open_agent(shell="/bin/sh") as agent:
        assert (await agent.run("echo $0")).value == "/bin/sh"


async def test_the_plugin_is_healthy(agent: Any) -> None:
    health = await agent.executor.health()
    assert (health.ok, health.detail) == (True, "")


def test_processes_are_terminated_before_the_engine_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The longest grace and the time for KILL are shorter than the time that the engine waits for a canceled item."""
    monkeypatch.undo()  # what the other tests get more of
    assert read(grace=2).grace + termination.KILL_SECONDS < CANCEL_GRACE
    with pytest.raises(Invalid, match="expected at most 2"):
        read(grace=2.1)
