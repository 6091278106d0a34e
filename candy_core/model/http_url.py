"""Addresses of servers in configurations."""

from __future__ import annotations

from urllib.parse import urlsplit


class HttpUrl(str):
    """The http or https address of a server, without trailing slash, user, password, query or fragment.

    A field of this type in a settings class is read by :meth:`parse`.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> HttpUrl:
        """Read an address. The ``ValueError`` never repeats it, since it may contain a password."""
        wrong = ValueError("expected an address such as https://candy.example.com:8080")
        if not text.isascii() or any(character <= " " for character in text.strip()):
            raise wrong
        try:
            url = urlsplit(text.strip())
            port = url.port
        except ValueError:
            raise wrong from None
        if url.scheme not in ("http", "https") or not url.hostname or port == 0:
            raise wrong
        if "@" in url.netloc:
            raise ValueError("expected an address without a user and password in it")
        if url.query or url.fragment:
            raise ValueError("expected an address without a query and fragment")
        return cls(text.strip().rstrip("/"))

    @property
    def address(self) -> str:
        """The host, and the port if there is one, for messages."""
        return urlsplit(self).netloc
