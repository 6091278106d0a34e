"""What the plugin announces."""

from __future__ import annotations

from importlib.metadata import entry_points

from candy_bash import plugin
from candy_bash.settings import BashSettings
from candy_kit_command import CommandParams, command_scopes


def test_the_entry_point_is_the_plugins_name() -> None:
    [found] = entry_points(group="candy", name="bash")
    assert found.load() is plugin


def test_one_executor_with_the_contracts_name() -> None:
    [spec] = plugin.candy_executors()
    assert (spec.name, spec.aliases) == ("bash", ())
    assert spec.params is CommandParams
    assert spec.settings is BashSettings
    assert spec.scopes is command_scopes
    assert spec.settings() == spec.settings()
