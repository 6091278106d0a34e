"""API keys and what their holders may do (contract sections 1 and 7).

Keys are looked up by their SHA-256 digest, so the time of a look-up depends neither on how many keys there are nor on
how much of a guess is right; and neither a repr nor a dump of the ring shows one.
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

EVERYTHING = "*"
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
"""What a key may be given (contract section 1), beside :data:`EVERYTHING`."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f]|^\s|\s$")
_BEARER = re.compile(r"bearer +(.*)", re.IGNORECASE | re.DOTALL)


@frozen
class Caller:
    """Whoever holds a key. ``name`` is the key's name, for logs; a caller with ``*`` has every scope spelled out."""

    name: str
    scopes: frozenset[str]

    def allows(self, scope: str) -> bool:
        """Whether the caller may do what ``scope`` covers."""
        return scope in self.scopes or EVERYTHING in self.scopes


@frozen(kw_only=True)
class KeyEntry:
    """One entry of the keys file. Exactly one of the three keys; ``key_sha256`` is the hex digest of its UTF-8."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    scopes: Annotated[tuple[str, ...], Meta(min_length=1)]
    key: Secret | None = None
    key_file: Path | None = None
    key_sha256: Secret | None = None


@frozen(kw_only=True)
class _KeyFile:
    """The file is the list alone; it stands in a record so that the reader checks its length."""

    keys: Annotated[tuple[KeyEntry, ...], Meta(min_length=1)]


class KeyRing:
    """The keys that open the agent.

    ``api_key`` has every scope; ``file`` is a list of :class:`KeyEntry` in YAML or JSON. Without either the ring makes
    a key of its own, :attr:`generated`, which is never logged. Raises :class:`SettingsError` for a file that cannot be
    used.
    """

    def __init__(self, api_key: Secret | None = None, file: Path | None = None) -> None:
        self._callers: dict[bytes, tuple[bytes, Caller]] = {}
        self.generated: Secret | None = None
        if api_key is None and file is None:
            api_key = self.generated = Secret(secrets.token_urlsafe(32))
        if api_key is not None:
            self._add(_digest(_sendable(api_key.reveal(), "CANDY_API_KEY")), "default", (EVERYTHING,), "CANDY_API_KEY")
        if file is not None:
            self._add_file(file)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(caller.name for _, caller in self._callers.values())})"

    def authenticate(self, headers: MultiMapping[str]) -> Caller | None:
        """Whose key a request carries; ``None`` without a key, with a wrong one, or with two that differ.

        The key stands in ``X-API-Key`` or in ``Authorization: Bearer``; another scheme of ``Authorization`` is not
        ours, and no key. Headers are texts as aiohttp makes them: UTF-8 with surrogate escapes.
        """
        given = headers.getall("X-API-Key", [])
        if "Authorization" in headers:
            given = given + [found[1] for line in headers.getall("Authorization") if (found := _BEARER.fullmatch(line))]
        if not given or given.count(given[0]) != len(given):
            return None
        for raw in _spellings(given[0]):
            digest = hashlib.sha256(raw).digest()
            found_entry = self._callers.get(digest)
            if found_entry is not None and hmac.compare_digest(found_entry[0], digest):
                return found_entry[1]
        return None

    def _add(self, digest: bytes, name: str, scopes: tuple[str, ...], where: str) -> None:
        if digest in self._callers:
            raise SettingsError(
                f"{where}: the same key stands under two names, {self._callers[digest][1].name} and {name}"
            )
        granted = frozenset(scopes)
        self._callers[digest] = (digest, Caller(name, granted | set(SCOPES) if EVERYTHING in granted else granted))

    def _add_file(self, file: Path) -> None:
        where = f"CANDY_API_KEYS_FILE ({file})"
        try:
            value = read_yaml(file.read_bytes(), path=where)
        except OSError as error:
            raise SettingsError(f"{where}: cannot be read: {error.strerror or error}") from None
        except Invalid as error:
            raise SettingsError(str(error)) from None
        try:
            entries = request_reader.read({"keys": value}, _KeyFile).keys
        except Invalid as error:
            raise SettingsError(f"{where}: {str(error).replace('$.keys', '$')}") from None
        names: set[str] = set()
        for index, entry in enumerate(entries):
            place = f"{where}: $[{index}] ({entry.name})"
            if entry.name in names:
                raise SettingsError(f"{place}: the name stands twice")
            names.add(entry.name)
            for scope in entry.scopes:
                if scope not in SCOPES and scope != EVERYTHING:
                    near = difflib.get_close_matches(scope, SCOPES, n=1)
                    hint = f"did you mean {near[0]}? " if near else ""
                    raise SettingsError(f"{place}: unknown scope {scope!r}; {hint}allowed: {', '.join(SCOPES)}, *")
            self._add(_entry_digest(entry, file.parent, place), entry.name, entry.scopes, where)


def _entry_digest(entry: KeyEntry, folder: Path, place: str) -> bytes:
    given = [name for name in ("key", "key_file", "key_sha256") if getattr(entry, name) is not None]
    if len(given) != 1:
        raise SettingsError(f"{place}: give exactly one of key, key_file and key_sha256")
    if entry.key_sha256 is not None:
        text = entry.key_sha256.reveal()
        if not _SHA256.fullmatch(text):
            raise SettingsError(f"{place}: key_sha256: expected 64 hexadecimal digits")
        return bytes.fromhex(text)
    if entry.key_file is not None:
        try:
            text = read_secret_file(folder / entry.key_file)
        except ValueError as error:
            raise SettingsError(f"{place}: key_file {entry.key_file}: {error}") from None
        return _digest(_sendable(text, place))
    return _digest(_sendable(entry.key.reveal() if entry.key is not None else "", place))


def _sendable(key: str, where: str) -> str:
    """A key that can stand in a header; anything else would lock its holder out without a word."""
    try:
        key.encode("utf-8", "surrogateescape")  # an environment may hold other bytes than UTF-8, and so may a header
    except UnicodeEncodeError:
        raise SettingsError(f"{where}: the key holds a lone surrogate, which no client can send") from None
    if not key or _UNSENDABLE.search(key):
        raise SettingsError(f"{where}: a key is not empty, holds no control character and no space at either end")
    return key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _spellings(value: str) -> Iterator[bytes]:
    """A header's value as the UTF-8 of the key that the client may have meant: many clients send Latin-1."""
    raw = value.encode("utf-8", "surrogateescape")
    yield raw
    if not value.isascii():
        yield raw.decode("latin-1").encode("utf-8")
