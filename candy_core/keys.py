"""API keys and their scopes (contract sections 1 and 7).

Keys are looked up by their SHA-256 digest. So the time of a lookup depends neither on the number of keys nor on how
much of a guess is right, and neither a repr nor a memory dump of the key ring shows a key.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from attrs import frozen
from msgspec import Meta
from multidict import MultiMapping

from candy_core.codec import request_reader
from candy_core.config.secret_files import read_secret_file
from candy_core.errors import Invalid, SettingsError
from candy_core.model.secret import Secret
from candy_core.yaml_reader import read_yaml

ALL_SCOPES = "*"
SCOPES = (
    "tasks:read",
    "tasks:write",
    "tasks:command",
    "rules:read",
    "rules:write",
    "agent:read",
    "agent:config",
    "agent:upgrade",
    "metrics:read",
)
"""The scopes of contract section 1, without :data:`ALL_SCOPES`."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_INVALID_KEY = re.compile(r"[\x00-\x1f\x7f]|^\s|\s$")
_BEARER = re.compile(r"bearer +(.*)", re.IGNORECASE | re.DOTALL)


@frozen
class Caller:
    """The holder of a key. ``name`` is the key's name, for logs. A caller with ``*`` has every scope, listed."""

    name: str
    scopes: frozenset[str]

    def allows(self, scope: str) -> bool:
        """Whether the caller has ``scope``."""
        return scope in self.scopes or ALL_SCOPES in self.scopes


@frozen(kw_only=True)
class KeyEntry:
    """One entry of the keys file, with exactly one of the three keys. ``key_sha256`` is in hex, of the key in UTF-8."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    scopes: Annotated[tuple[str, ...], Meta(min_length=1)]
    key: Secret | None = None
    key_file: Path | None = None
    key_sha256: Secret | None = None


@frozen(kw_only=True)
class _KeyFile:
    """The list in the file, as a record so that the reader checks its length."""

    keys: Annotated[tuple[KeyEntry, ...], Meta(min_length=1)]


class KeyRing:
    """All valid keys.

    ``api_key`` has every scope; ``file`` is a list of :class:`KeyEntry` in YAML or JSON. Without either the key ring
    generates a key, :attr:`generated`, which is never logged. Raises :class:`SettingsError` for an unusable file.
    """

    def __init__(self, api_key: Secret | None = None, file: Path | None = None) -> None:
        self._callers: dict[bytes, tuple[bytes, Caller]] = {}
        self.generated: Secret | None = None
        if api_key is None and file is None:
            api_key = self.generated = Secret(secrets.token_urlsafe(32))
        if api_key is not None:
            self._add(_digest(_checked(api_key.reveal(), "CANDY_API_KEY")), "default", (ALL_SCOPES,), "CANDY_API_KEY")
        if file is not None:
            self._add_file(file)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(caller.name for _, caller in self._callers.values())})"

    def authenticate(self, headers: MultiMapping[str]) -> Caller | None:
        """The caller of a request; ``None`` without a key, with a wrong one, or with two different ones.

        The key is in ``X-API-Key`` or ``Authorization: Bearer``; other schemes of ``Authorization`` are ignored.
        Headers are strings as aiohttp makes them: UTF-8 with surrogate escapes.
        """
        given = headers.getall("X-API-Key", [])
        if "Authorization" in headers:
            given = given + [found[1] for line in headers.getall("Authorization") if (found := _BEARER.fullmatch(line))]
        if not given or given.count(given[0]) != len(given):
            return None
        for raw in _encodings(given[0]):
            digest = hashlib.sha256(raw).digest()
            entry = self._callers.get(digest)
            if entry is not None and hmac.compare_digest(entry[0], digest):
                return entry[1]
        return None

    def _add(self, digest: bytes, name: str, scopes: tuple[str, ...], where: str) -> None:
        if digest in self._callers:
            raise SettingsError(f"{where}: duplicate key: {self._callers[digest][1].name} and {name}")
        granted = frozenset(scopes)
        self._callers[digest] = (digest, Caller(name, granted | set(SCOPES) if ALL_SCOPES in granted else granted))

    def _add_file(self, file: Path) -> None:
        source = f"CANDY_API_KEYS_FILE ({file})"
        try:
            value = read_yaml(file.read_bytes(), path=source)
        except OSError as error:
            raise SettingsError(f"{source}: cannot be read: {error.strerror or error}") from None
        except Invalid as error:
            raise SettingsError(str(error)) from None
        try:
            entries = request_reader.read({"keys": value}, _KeyFile).keys
        except Invalid as error:
            raise SettingsError(f"{source}: {str(error).replace('$.keys', '$')}") from None
        names: set[str] = set()
        for index, entry in enumerate(entries):
            where = f"{source}: $[{index}] ({entry.name})"
            if entry.name in names:
                raise SettingsError(f"{where}: duplicate name")
            names.add(entry.name)
            for scope in entry.scopes:
                if scope not in SCOPES and scope != ALL_SCOPES:
                    near = difflib.get_close_matches(scope, SCOPES, n=1)
                    hint = f"did you mean {near[0]}? " if near else ""
                    raise SettingsError(f"{where}: unknown scope {scope!r}; {hint}allowed: {', '.join(SCOPES)}, *")
            self._add(_entry_digest(entry, file.parent, where), entry.name, entry.scopes, source)


def _entry_digest(entry: KeyEntry, folder: Path, where: str) -> bytes:
    given = [name for name in ("key", "key_file", "key_sha256") if getattr(entry, name) is not None]
    if len(given) != 1:
        raise SettingsError(f"{where}: give exactly one of key, key_file and key_sha256")
    if entry.key_sha256 is not None:
        text = entry.key_sha256.reveal()
        if not _SHA256.fullmatch(text):
            raise SettingsError(f"{where}: key_sha256: expected 64 hexadecimal digits")
        return bytes.fromhex(text)
    if entry.key_file is not None:
        try:
            text = read_secret_file(folder / entry.key_file)
        except ValueError as error:
            raise SettingsError(f"{where}: key_file {entry.key_file}: {error}") from None
        return _digest(_checked(text, where))
    return _digest(_checked(entry.key.reveal() if entry.key is not None else "", where))


def _checked(key: str, where: str) -> str:
    """The key, if it can be sent in a header. Raises :class:`SettingsError` if not: its holder could never use it."""
    try:
        key.encode("utf-8", "surrogateescape")  # an environment and a header may hold bytes that are not UTF-8
    except UnicodeEncodeError:
        raise SettingsError(f"{where}: the key contains a lone surrogate, which no client can send") from None
    if not key or _INVALID_KEY.search(key):
        raise SettingsError(
            f"{where}: a key must not be empty, contain a control character, or start or end with white space"
        )
    return key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _encodings(value: str) -> Iterator[bytes]:
    """The UTF-8 of the keys that a header's value may mean: many clients send Latin-1."""
    raw = value.encode("utf-8", "surrogateescape")
    yield raw
    if not value.isascii():
        yield raw.decode("latin-1").encode("utf-8")
