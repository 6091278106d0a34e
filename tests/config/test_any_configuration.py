"""Any file and any environment give settings or an error of one line."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from candy_core import HttpUrl
from candy_core.config import Configuration, load_configuration, setting_names
from candy_core.config.settings import Address, ByteSize, Settings
from candy_core.errors import SettingsError

_names = st.sampled_from(setting_names(Settings)) | st.text(max_size=8)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "a,b", "[", "{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def check_load(file: Path | None, environ: dict[str, str]) -> None:
    try:
        configuration = load_configuration(file, environ, hostname="node-1")
    except SettingsError as error:
        message = str(error)
    else:
        assert isinstance(configuration, Configuration)
        configuration.with_plugins(["prometheus"]).unknown_variables({"prometheus": ["url"]})
        return
    assert message
    assert "\n" not in message


@given(st.dictionaries(_names.map(lambda name: f"CANDY_{name.upper()}"), st.text(max_size=12), max_size=4))
def test_any_environment(environ: dict[str, str]) -> None:
    check_load(None, environ)


@given(st.dictionaries(_names, _values, max_size=4))
def test_any_values_in_a_file(content: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.yaml")
        with suppress(UnicodeEncodeError):
            file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
            check_load(file, {})


@pytest.mark.parametrize("ending", [".yaml", ".toml"])
@given(text=st.text(alphabet="ab:-[]{}#&*!|>'\"%@`,? \n\t=.0\x00é", max_size=30) | st.text(max_size=30))
def test_any_text_in_a_file(ending: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"a{ending}")
        file.write_bytes(text.encode("utf-8", "replace"))
        check_load(file, {})


@pytest.mark.parametrize("kind", [Address, HttpUrl, ByteSize])
@given(text=st.text(max_size=20) | st.from_regex(r"(http://)?\[?[0-9a-f.:]{1,9}\]?:[0-9]{1,6}", fullmatch=True))
def test_a_value_survives_a_round_trip(kind: Any, text: str) -> None:
    with suppress(ValueError):
        value = kind.parse(text)
        assert kind.parse(str(value)) == value
