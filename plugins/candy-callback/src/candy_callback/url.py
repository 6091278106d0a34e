"""URLs that results are posted to."""

from __future__ import annotations

import re
from urllib.parse import quote

from yarl import URL

PLACEHOLDER = "{task_id}"
_MAX_LENGTH = 2048
_VISIBLE = re.compile(r"[^\x00-\x20\x7f\\]+")


class CallbackUrl(str):
    """A checked ``http`` or ``https`` URL, which may contain the placeholder ``{task_id}``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> CallbackUrl:
        """Check a URL. Raises ``ValueError`` that says what is allowed and never repeats the URL."""
        if host_of(_url_of(text.replace(PLACEHOLDER, "x"))) != host_of(_url_of(text.replace(PLACEHOLDER, "y"))):
            raise ValueError(
                f"expected {PLACEHOLDER} in the path or the query only: a task id must not decide the host"
            )
        return cls(text)

    def fill(self, task_id: str) -> URL:
        """The URL for one task, with its id percent-encoded."""
        return _url_of(self.replace(PLACEHOLDER, quote(task_id, safe="")))

    @property
    def host(self) -> str:
        """The host in lower case, without a trailing dot; an IPv6 address without brackets."""
        return host_of(_url_of(self.replace(PLACEHOLDER, "x")))


def host_of(url: URL) -> str:
    """The host in the form used for comparison: lower-case ASCII without a trailing dot."""
    return (url.raw_host or "").lower().rstrip(".")


def _url_of(text: str) -> URL:
    """Parse a URL with the HTTP client's parser: another one might see a different host in it."""
    if len(text) > _MAX_LENGTH or not _VISIBLE.fullmatch(text):
        raise ValueError(f"expected a URL of at most {_MAX_LENGTH} characters without spaces and backslashes")
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise ValueError("expected a URL such as https://candy.example.com/results/{task_id}") from None
    if url.scheme not in ("http", "https") or not host_of(url) or not port:
        raise ValueError("expected a URL that starts with http:// or https:// and names a host")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError("expected a URL without a user and password in it: send a header instead")
    if "#" in text:
        raise ValueError("expected a URL without a fragment")
    return url
