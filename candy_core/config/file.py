"""Reads the configuration file, YAML or TOML, as JSON values. Messages contain keys of the file but no values."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

from candy_core.codec import MAX_DEPTH
from candy_core.errors import Invalid, SettingsError
from candy_core.model.task import Json
from candy_core.yaml_reader import read_yaml

_QUOTED = re.compile(r"""(['"]).*\1""", re.DOTALL)
_SUFFIXES = (".yaml", ".yml", ".toml")


def read_config_file(file: Path) -> Mapping[str, Json]:
    """Read the file. Raises :class:`SettingsError`, one line that names the file and the place in it."""
    suffix = file.suffix.lower()
    if suffix not in _SUFFIXES:
        raise SettingsError(f"{file}: expected a file that ends in {', '.join(_SUFFIXES)}")
    try:
        data = file.read_bytes()
        value = _read_toml(data) if suffix == ".toml" else read_yaml(data, path=str(file))
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8 at byte {error.start}") from None
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from None
    except Invalid as error:
        raise SettingsError(str(error)) from None
    if value is None:  # an empty file
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f"{file}: expected keys with values at the top level")
    return value


def _read_toml(data: bytes) -> Any:
    try:
        return _plain(tomllib.loads(data.decode("utf-8-sig")))
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\((at [^()]*)\)$", str(error))
        raise ValueError(f"not TOML: {_QUOTED.sub('…', str(error))}" if where else "not TOML") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from None


def _plain(value: object, path: str = "", depth: int = 0) -> Any:
    """The value with JSON types only."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        return {key: _plain(inner, f"{path}.{key}".lstrip("."), depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value)]
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{path}: expected a finite number")
    return value
