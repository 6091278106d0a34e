"""API keys (contract sections 1 and 7)."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from candy_core.errors import SettingsError
from candy_core.keys import SCOPES, Caller, KeyRing
from candy_core.model.secret import Secret


def as_received(raw: bytes) -> str:
    """A header's value as aiohttp decodes it."""
    return raw.decode("utf-8", "surrogateescape")


def authenticate(ring: KeyRing, *headers: tuple[str, str]) -> Caller | None:
    return ring.authenticate(CIMultiDict(headers))


def written(folder: Path, entries: object) -> Path:
    file = folder / "keys.json"
    file.write_text(json.dumps(entries), encoding="utf-8")
    return file


def test_one_key_has_every_scope() -> None:
    """Contract §7: 'CANDY_API_KEY … one key with every scope'."""
    caller = authenticate(KeyRing(Secret("k1")), ("x-api-key", "k1"))
    assert caller is not None
    assert all(caller.allows(scope) for scope in SCOPES)
    assert caller.allows("some_plugin:scope")


def test_both_headers_are_read_and_must_match() -> None:
    """Contract §1: 'X-API-Key: … or Authorization: Bearer …'."""
    ring = KeyRing(Secret("k1"))
    assert authenticate(ring, ("Authorization", "Bearer k1"))
    assert authenticate(ring, ("Authorization", "bearer   k1"))
    assert authenticate(ring, ("Authorization", "Bearer k1"), ("X-API-Key", "k1"))
    assert authenticate(ring, ("Authorization", "Basic eDp5"), ("X-API-Key", "k1"))
    assert authenticate(ring, ("Authorization", "Bearer k2"), ("X-API-Key", "k1")) is None
    assert authenticate(ring, ("X-API-Key", "k1"), ("X-API-Key", "k2")) is None
    for header in (("X-API-Key", ""), ("X-API-Key", "k"), ("Authorization", "Basic k1"), ("Authorization", "Bearerk1")):
        assert authenticate(ring, header) is None
    assert authenticate(ring) is None


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Z")), min_size=1))
def test_a_key_of_any_characters_is_valid_in_utf8_and_latin1(key: str) -> None:
    ring = KeyRing(Secret(key))
    assert authenticate(ring, ("X-API-Key", as_received(key.encode())))
    with contextlib.suppress(UnicodeEncodeError):
        assert authenticate(ring, ("X-API-Key", as_received(key.encode("latin-1"))))


def test_a_key_of_bytes_that_are_not_utf8_is_valid() -> None:
    """An environment variable may hold any bytes; Python and aiohttp decode them with surrogate escapes."""
    assert authenticate(KeyRing(Secret("k\udcff")), ("X-API-Key", as_received(b"k\xff")))
    with pytest.raises(SettingsError, match="lone surrogate"):
        KeyRing(Secret("k\ud83c"))


@given(st.binary(max_size=64))
def test_any_bytes_in_a_header_raise_no_error(raw: bytes) -> None:
    assert authenticate(KeyRing(Secret("kéy")), ("X-API-Key", as_received(raw))) is None or raw in (
        "kéy".encode(),
        "kéy".encode("latin-1"),
    )


def test_without_a_configured_key_one_is_generated_and_never_shown() -> None:
    """Contract §1: 'With no key configured the agent makes one at start …. It is never logged'."""
    ring = KeyRing()
    assert ring.generated is not None
    text = ring.generated.reveal()
    assert len(text) >= 32
    assert authenticate(ring, ("X-API-Key", text))
    assert text not in repr(ring)
    assert text not in repr(vars(ring))
    assert KeyRing(Secret("k1")).generated is None


def test_a_file_gives_keys_their_scopes(tmp_path: Path) -> None:
    """Contract §7: 'CANDY_API_KEYS_FILE | … several with scopes'; any secret may come from a file."""
    (tmp_path / "second").write_text("k2\n", encoding="utf-8")
    entries = [
        {"name": "a", "key": "k1", "scopes": ["tasks:read"]},
        {"name": "b", "key_file": "second", "scopes": ["*"]},
        {"name": "c", "key_sha256": hashlib.sha256("clé".encode()).hexdigest().upper(), "scopes": ["metrics:read"]},
    ]
    ring = KeyRing(Secret("k0"), written(tmp_path, entries))
    first = authenticate(ring, ("X-API-Key", "k1"))
    assert first == Caller("a", frozenset({"tasks:read"}))
    assert not first.allows("tasks:write")
    second = authenticate(ring, ("X-API-Key", "k2"))
    assert second is not None
    assert second.allows("agent:config")
    third = authenticate(ring, ("X-API-Key", as_received("clé".encode("latin-1"))))
    assert third is not None
    assert third.name == "c"
    assert authenticate(ring, ("X-API-Key", "k0"))
    assert ring.generated is None


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "at least 1"),
        ({"name": "a"}, "list"),
        ([{"name": "a", "key": "s3cret", "scopes": ["task:read"]}], "did you mean tasks:read"),
        ([{"name": "a", "key": "s3cret", "scopes": []}], "scopes"),
        ([{"name": "a", "key": "s3cret"}], "scopes: is required"),
        ([{"name": "a", "key": "s3cret", "scopes": ["*"], "scope": 1}], "did you mean scopes"),
        ([{"name": "a", "key": 5, "scopes": ["*"]}], "expected a string"),
        ([{"name": "a", "scopes": ["*"]}], "exactly one of key, key_file and key_sha256"),
        ([{"name": "a", "key": "s3cret", "key_file": "x", "scopes": ["*"]}], "exactly one"),
        ([{"name": "a", "key_sha256": "s3cret", "scopes": ["*"]}], "64 hexadecimal digits"),
        ([{"name": "a", "key_file": "absent", "scopes": ["*"]}], "cannot be read"),
        ([{"name": "a", "key": "s3cret\n", "scopes": ["*"]}], "a control character"),
        ([{"name": "a", "key": "", "scopes": ["*"]}], "not be empty"),
        (
            [{"name": "a", "key": "s3cret", "scopes": ["*"]}, {"name": "a", "key": "2", "scopes": ["*"]}],
            "duplicate name",
        ),
        (
            [{"name": "a", "key": "s3cret", "scopes": ["*"]}, {"name": "b", "key": "s3cret", "scopes": ["*"]}],
            "duplicate key: a and b",
        ),
    ],
)
def test_an_unusable_file_is_an_error_of_one_line_without_keys(tmp_path: Path, entries: object, message: str) -> None:
    """Contract §7: 'stops the start with one line that names it and the nearest right one'."""
    with pytest.raises(SettingsError) as caught:
        KeyRing(None, written(tmp_path, entries))
    text = str(caught.value)
    assert message in text
    assert "CANDY_API_KEYS_FILE" in text
    assert "s3cret" not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "content",
    [
        b"- key: [s3cret\n",
        b"\xff\xfe",
        b"- key: s3cret: b\n",
        b"- name: a\n  key: s3cret\n  scopes: [tasks:read]\n  scopes: ['*']\n",
    ],
    ids=["unfinished", "no-utf-8", "two-colons", "duplicate-key"],
)
def test_a_file_that_is_not_yaml_is_an_error_without_its_content(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        KeyRing(None, file)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        KeyRing(None, tmp_path / "absent")
