"""Addresses of servers, as configurations give them."""

from __future__ import annotations

from urllib.parse import urlsplit


class HttpUrl(str):
    """The address of a server over http or https, without a slash at its end, user, password, query or fragment.

    A field of this type in a settings class is read by :meth:`parse`.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> HttpUrl:
        """Read an address; the ``ValueError`` never repeats it, since it may hold a password."""
        wrong = ValueError("expected an address such as https://candy.example.com:8080")
        if not text.isascii() or any(character <= " " for character in text.strip()):
            raise wrong
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            raise wrong from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise wrong
        if "@" in parts.netloc:
            raise ValueError("expected an address without a user and password in it")
        if parts.query or parts.fragment:
            raise ValueError("expected an address without a query and fragment")
        return cls(text.strip().rstrip("/"))

    @property
    def address(self) -> str:
        """Host and, where it is written, port: what a message may show."""
        return urlsplit(self).netloc
