"""Authentication to a datasource: the headers of its requests, and the client certificate."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from candy_core import Secret
from candy_kit_promql.datasource import Datasource

REREAD_AFTER = 10.0
"""Seconds after which a file with a secret is read again."""
_MIN_REDACTED = 8
"""Length from which a header's value is redacted: a short one, such as a tenant's number, may occur anywhere."""


class Authorization:
    """Makes the headers of a datasource; a secret in a file is read again every :data:`REREAD_AFTER` seconds."""

    def __init__(self, datasource: Datasource, clock: Callable[[], float] = time.monotonic) -> None:
        self._datasource = datasource
        self._fixed = {name: value.reveal() for name, value in datasource.headers.items()}
        self._file = datasource.bearer_token_file or datasource.password_file
        self._headers: dict[str, str] | None = None
        self._expires = float("inf")
        self._clock = clock

    async def headers(self) -> Mapping[str, str]:
        """The headers for a request sent now. Raises ``OSError`` or ``ValueError`` for an unusable secret file."""
        now = self._clock()
        if self._headers is None or now >= self._expires:
            secret = self._datasource.bearer_token or self._datasource.password
            if secret is None and self._file is not None:
                secret = await asyncio.to_thread(_read, self._file)
                self._expires = now + REREAD_AFTER
            self._headers = self._fixed | self._authorization(secret)
        return self._headers

    def redact(self, answer: bytes) -> bytes:
        """An answer without the secrets sent last: some servers repeat the request's headers in their errors."""
        for value in (self._headers or {}).values():
            if len(secret := value.rpartition(" ")[2]) >= _MIN_REDACTED:
                answer = answer.replace(secret.encode(), b"******")
        return answer

    def _authorization(self, secret: Secret | None) -> dict[str, str]:
        if self._datasource.username is not None:
            pair = f"{self._datasource.username}:{secret.reveal() if secret else ''}"
            return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        return {"Authorization": f"Bearer {secret.reveal()}"} if secret else {}


def tls_context(datasource: Datasource, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext | None:
    """The context of an https datasource, ``None`` for http. Reads files; raises ``OSError`` for an unusable one."""
    if datasource.url is None or not datasource.url.startswith("https:"):
        return None
    context = make()
    if datasource.ca_file is not None:
        context.load_verify_locations(cafile=datasource.ca_file)
    if datasource.cert_file is not None:
        context.load_cert_chain(datasource.cert_file, datasource.key_file)
    return context


def _read(file: Path) -> Secret:
    text = file.read_text("utf-8").strip()
    if not text or not text.isprintable():
        raise ValueError(f"{file} does not hold one line of text")
    return Secret(text)
