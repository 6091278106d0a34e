"""Loads templates from YAML texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from candy_core import Locale, Outcome, params_reader
from candy_kit_command import Command, CommandParams, CommandSettings, CommandTemplates

Load = Callable[..., CommandTemplates]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the templates of one file with this text; without the built-in ones unless ``builtin``."""

    def make(text: str, *, builtin: bool = False) -> CommandTemplates:
        file = tmp_path / "templates.yaml"
        file.write_text(text)
        return CommandTemplates.load(CommandSettings(templates=(file,), builtin_templates=builtin))

    return make


def resolve(
    templates: CommandTemplates, params: dict[str, Any], *, allow: bool = False, locale: Locale = Locale.EN
) -> Command | Outcome:
    """The command, or the outcome that refuses it, for params as a caller writes them."""
    read = params_reader.read(params, CommandParams)
    settings = CommandSettings(allow_command=allow)
    return templates.command_of(read, settings, locale, setting="CANDY_BASH_ALLOW_COMMAND")


@pytest.fixture(name="resolve")
def _resolve() -> Callable[..., Command | Outcome]:
    return resolve
