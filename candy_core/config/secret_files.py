"""``X_FILE``: secrets in files (contract section 7), at any depth of a settings class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import attrs

from candy_core.codec import join, loads
from candy_core.codec.kinds import SEQUENCES, is_annotated, is_mapping, is_record, is_union, key_of, unannotated
from candy_core.errors import BadJson, Invalid, Problem
from candy_core.model.secret import Secret


def secret_keys(kind: type) -> tuple[str, ...]:
    """The keys ``x_file`` of a settings class, one for each secret ``x``."""
    fields = _fields(kind)
    return tuple(f"{key}_file" for key, inner in fields.items() if inner is Secret and f"{key}_file" not in fields)


def reveal_files(value: object, kind: Any, path: str = "$") -> object:
    """``value`` with every ``x_file`` replaced by an ``x`` with the file's content without a final newline.

    Raises :class:`Invalid` if a file cannot be read or is empty, and if both ``x`` and ``x_file`` are given.
    """
    kind = _bare(kind)
    if isinstance(value, str) and kind is not Secret and value.lstrip().startswith(("{", "[")):
        try:
            parsed = loads(value)
        except BadJson:
            return value  # the reader reports what is wrong with it
        return reveal_files(parsed, kind, path) if _holds_records(kind) else value
    if isinstance(value, Mapping) and isinstance(kind, type) and attrs.has(kind):
        return _reveal_record(value, kind, path)
    if isinstance(value, Mapping) and is_mapping(kind) and get_args(kind):
        return {key: reveal_files(inner, get_args(kind)[1], join(path, str(key))) for key, inner in value.items()}
    if isinstance(value, list) and get_origin(kind) in SEQUENCES:
        return [reveal_files(inner, get_args(kind)[0], join(path, index)) for index, inner in enumerate(value)]
    return value


def read_secret_file(file: Path) -> str:
    """Read a file without its final newline.

    Raises ``ValueError`` without the name of the file, since the setting may contain the secret itself by mistake.
    """
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    except ValueError:  # not UTF-8, or a name with a NUL in it
        raise ValueError("the file cannot be read: it is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("the file is empty")
    return text


def _reveal_record(value: Mapping[str, object], kind: type, path: str) -> dict[str, object]:
    fields = _fields(kind)
    files = secret_keys(kind)
    result: dict[str, object] = {}
    problems: list[Problem] = []
    for key, inner in value.items():
        if key not in files:
            try:
                result[key] = reveal_files(inner, fields[key], join(path, key)) if key in fields else inner
            except Invalid as error:
                problems += error.problems
            continue
        if inner is None:
            continue
        secret = key.removesuffix("_file")
        if value.get(secret) is not None:
            problems.append(Problem(join(path, key), f"expected either this or {secret}, but both are given"))
        elif not isinstance(inner, str):
            problems.append(Problem(join(path, key), "expected the name of a file"))
        else:
            try:
                result[secret] = read_secret_file(Path(inner))
            except ValueError as error:
                problems.append(Problem(join(path, key), str(error)))
    if problems:
        raise Invalid(problems)
    return result


def _fields(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        key_of(attribute): _bare(hints.get(attribute.name, attribute.type))
        for attribute in attrs.fields(kind)
        if attribute.init
    }


def _bare(kind: Any) -> Any:
    """A type without ``Annotated`` and without ``| None``."""
    while True:
        if is_annotated(kind):
            kind = unannotated(kind)
        elif is_union(kind):
            inner = [each for each in get_args(kind) if each is not type(None)]
            if len(inner) != 1:
                return kind
            kind = inner[0]
        else:
            return kind


def _holds_records(kind: Any) -> bool:
    """Whether the type is or may contain a record, which may have secrets."""
    kind = _bare(kind)
    return is_record(kind) or any(_holds_records(inner) for inner in get_args(kind))
