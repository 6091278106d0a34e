"""Keeps the beginning of a stream and counts the rest."""

from __future__ import annotations

import re

from candy_kit_command.command_result import Captured

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Capture:
    """Takes a stream in pieces. Memory is bounded by ``limit`` bytes, however long the stream is.

    ``search`` is a text to search for in the whole stream, kept or not.
    """

    __slots__ = ("_found", "_kept", "_limit", "_needle", "_tail", "_total")

    def __init__(self, limit: int, *, search: str | None = None) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._total = 0
        self._needle = None if search is None else search.encode("utf-8", "replace")
        self._tail = b""
        self._found = False

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece."""
        free = self._limit - len(self._kept)
        if free > 0:
            self._kept += data[:free]
        self._total += len(data)
        if self._needle is not None and not self._found:
            window = self._tail + data
            self._found = self._needle in window
            keep = len(self._needle) - 1
            self._tail = window[-keep:] if keep else b""

    def finish(self) -> Captured:
        """What was kept, as text, without the first bytes of a character that the limit cut in two."""
        kept = bytes(self._kept)
        if self._total > len(kept):
            kept = _complete(kept)
        found = None if self._needle is None else self._found
        return Captured(readable(kept), self._total - len(kept), found, len(kept))


def readable(data: bytes) -> str:
    """Decode UTF-8; visible characters replace invalid bytes and the characters that control a terminal."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return _UNSAFE.sub(_visible, text) if _UNSAFE.search(text) else text


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"


def _complete(data: bytes) -> bytes:
    """``data`` without an incomplete UTF-8 character at its end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if length > back else data
        if byte < 0x80:
            return data
    return data
