"""Where a delivery goes, and which targets a task may choose (contract section 4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from attrs import field, frozen
from yarl import URL

from candy_callback.settings import CallbackSettings
from candy_callback.url import CallbackUrl, host_of
from candy_core import Callback, PluginContext, Problem

MAX_HEADERS = 50
MAX_HEADER_BYTES = 8192
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_RESERVED = frozenset(
    [
        "accept-encoding",
        "connection",
        "cookie2",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "idempotency-key",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-api-key",
    ]
)
_RESERVED_PREFIXES = ("content-", "x-candy-", "proxy-", "sec-")


@frozen(kw_only=True)
class Target:
    """Where one delivery goes. ``trusted``: the key for Candy-Server may be sent to it."""

    url: URL = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    trusted: bool

    @property
    def name(self) -> str:
        """The target as errors and logs may show it: without path and query, which may hold secrets."""
        return str(self.url.origin())


def has_target(context: PluginContext, settings: CallbackSettings, callback: Callback | None) -> bool:
    """Whether there is anywhere to deliver to."""
    own = callback.url if callback is not None else None
    return bool(own or settings.url or context.server_url)


def callback_problems(context: PluginContext, settings: CallbackSettings, callback: Callback) -> Sequence[Problem]:
    """Everything wrong with a task's own callback. Does no DNS lookup."""
    problems: list[Problem] = []
    if callback.url is not None:
        problems += _url_problems(settings, callback.url)
    elif not has_target(context, settings, callback):
        problems.append(
            Problem(
                "$.url", "is required: neither plugins.callback.url (CANDY_CALLBACK_URL) nor CANDY_SERVER_URL is set"
            )
        )
    return problems + list(_header_problems(callback.headers))


def target_of(
    context: PluginContext, settings: CallbackSettings, callback: Callback | None, task_id: str
) -> Target | str:
    """Where a task's deliveries go, or a message that says why they cannot be sent."""
    if callback is None or (callback.url is None and not callback.headers):
        return _configured(context, settings, task_id, {})
    problems = callback_problems(context, settings, callback)
    if problems:
        return "; ".join(f"{problem.path}: {problem.message}" for problem in problems)
    if callback.url is None:
        return _configured(context, settings, task_id, callback.headers)
    url = CallbackUrl.parse(callback.url).fill(task_id)
    trusted = any(_at_least_as_safe(url, own) for own in _own_urls(context, settings))
    return Target(url=url, headers=callback.headers, trusted=trusted)


def _configured(
    context: PluginContext, settings: CallbackSettings, task_id: str, headers: Mapping[str, str]
) -> Target | str:
    base = settings.url
    if base is None:
        if context.server_url is None:
            return "neither plugins.callback.url (CANDY_CALLBACK_URL) nor CANDY_SERVER_URL is set"
        base = CallbackUrl.parse(context.server_url.rstrip("/") + "/api/v1/results/{task_id}")
    return Target(url=base.fill(task_id), headers=headers, trusted=True)


def _own_urls(context: PluginContext, settings: CallbackSettings) -> Iterable[URL]:
    for text in (settings.url, context.server_url):
        if text is not None:
            yield CallbackUrl.parse(text).fill("x")


def _at_least_as_safe(url: URL, own: URL) -> bool:
    """Whether ``url`` has the host of ``own``, and the same scheme and port or https."""
    if host_of(url) != host_of(own):
        return False
    if url.scheme == own.scheme:
        return url.port == own.port
    return url.scheme == "https"


def _url_problems(settings: CallbackSettings, text: str) -> Iterable[Problem]:
    try:
        host = CallbackUrl.parse(text).host
    except ValueError as error:
        yield Problem("$.url", str(error))
        return
    if not any(fnmatchcase(host, _pattern(allowed)) for allowed in settings.allowed_hosts):
        yield Problem("$.url", "its host is not among plugins.callback.allowed_hosts (CANDY_CALLBACK_ALLOWED_HOSTS)")


def _pattern(allowed: str) -> str:
    text = allowed.strip().lower().rstrip(".")
    return text[1:-1] if text.startswith("[") and text.endswith("]") and ":" in text else text


def _header_problems(headers: Mapping[str, str]) -> Iterable[Problem]:
    if len(headers) > MAX_HEADERS:
        yield Problem("$.headers", f"expected at most {MAX_HEADERS}")
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADER_BYTES:
        yield Problem("$.headers", f"expected at most {MAX_HEADER_BYTES} bytes in total")
    seen: set[str] = set()
    for number, (name, value) in enumerate(headers.items()):
        if not _TOKEN.fullmatch(name):
            yield Problem(
                "$.headers", f"expected the name of header {number} to be an HTTP token (letters, digits, -, _)"
            )
            continue
        path = f"$.headers['{name}']".replace("''", "'")
        lower = name.lower()
        if lower in seen:
            yield Problem(path, "is a duplicate: header names are case-insensitive")
        seen.add(lower)
        if lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
            yield Problem(path, "is set by the agent itself; choose another name")
        if not _VALUE.fullmatch(value):
            yield Problem(path, "expected printable ASCII characters on one line")
