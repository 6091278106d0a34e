"""Makes catalogues out of texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from candy_core import Locale, Outcome, params_reader
from candy_kit_command import Catalogue, Command, CommandParams, CommandSettings

Load = Callable[..., Catalogue]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A catalogue out of the text of one file, beside no built-in one."""

    def make(text: str, *, builtin: bool = False) -> Catalogue:
        file = tmp_path / "templates.yaml"
        file.write_text(text)
        return Catalogue.load(CommandSettings(templates=(file,), builtin_templates=builtin))

    return make


def ask(
    catalogue: Catalogue, params: dict[str, Any], *, allow: bool = False, locale: Locale = Locale.EN
) -> Command | Outcome:
    """What a catalogue makes of params as a caller writes them."""
    read = params_reader.read(params, CommandParams)
    settings = CommandSettings(allow_command=allow)
    return catalogue.command_of(read, settings, locale, setting="CANDY_BASH_ALLOW_COMMAND")


@pytest.fixture(name="ask")
def _ask() -> Callable[..., Command | Outcome]:
    return ask
