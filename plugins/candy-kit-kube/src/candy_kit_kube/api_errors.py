"""Maps error responses of the API server to the agent's errors.

An API server describes an error in a ``Status`` (Kubernetes API conventions, "Response Status Kind"). Its message is
kept, since it names verb, resource and namespace. A body of another kind is never quoted: it may come from a proxy that
repeats the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import orjson

from candy_core import (
    BackendUnavailable,
    CandyError,
    Conflict,
    Exists,
    FieldConflict,
    Forbidden,
    Invalid,
    Json,
    NotFound,
    Overloaded,
    Problem,
    Stale,
)
from candy_kit_kube.json_values import as_list, as_object, as_text

MAX_MESSAGE = 2000
"""Characters of the API server's message that are kept."""
MAX_RETRY_AFTER = 300.0
"""The longest wait that is taken from ``Retry-After``, in seconds."""

_UNTYPED = re.compile(r"failed to create typed (?:patch|live) object(?: \([^)]*\))?: (.*)", re.DOTALL)
_FIELD = re.compile(r"^(?P<field>\.[^:]*): (?P<message>.*)", re.DOTALL)
_STRICT = re.compile(r'unknown field "(?P<field>[^"]*)"')
_WEBHOOK = re.compile(r'^admission webhook "[^"]*" denied the request')


class Gone(CandyError):
    """The version to watch from, or the continue token of a list, has expired (410).

    ``next_page`` is a new token, if the API server offers one: it continues from the same position in newer data.
    """

    code = "gone"

    def __init__(self, detail: str, *, next_page: str | None = None) -> None:
        self.next_page = next_page
        super().__init__(detail)


class TooLarge(CandyError):
    """A response is larger than the agent's own limit."""

    code = "too_large"


class NoCluster(BackendUnavailable):
    """No cluster is configured, or its configuration cannot be used: no request was sent."""


class NoAnswer(BackendUnavailable):
    """The API server did not respond in time."""


class MissingResource(BackendUnavailable):
    """The API server does not serve the resource: its CustomResourceDefinition is not installed."""


class Unauthenticated(Forbidden):
    """The API server does not accept the credential (401): it is wrong or has expired."""


def error_of(status: int, headers: Mapping[str, str], body: bytes, path: str) -> CandyError:
    """The error for an error response. ``path`` is that of the request."""
    document = _status(body)
    message = as_text(document.get("message"))[:MAX_MESSAGE]
    details = as_object(document.get("details"))
    shown = f"the Kubernetes API says: {message}" if message else f"the Kubernetes API returned {status} and no reason"
    wait = retry_after(headers, details)
    if (found := list(_problems(message, details))) and status in (400, 422, 500):
        return Invalid(found)
    if _WEBHOOK.match(message) and status < 500:
        return Invalid([Problem("$", message)])
    match status:
        case 400 | 413 | 422:
            return Invalid([Problem("$", message or f"the Kubernetes API rejects it with {status}")])
        case 401:
            return Unauthenticated("the Kubernetes API does not accept the agent's credential (401)")
        case 403:
            return Forbidden(shown)
        case 404 if not as_text(details.get("name")):
            return MissingResource(_missing_resource(path))
        case 404:
            return NotFound(shown)
        case 409:
            return _conflict(as_text(document.get("reason")), details, shown)
        case 410:
            return Gone(shown, next_page=as_text(as_object(document.get("metadata")).get("continue")) or None)
        case 429:
            return Overloaded(shown, retry_after=wait)
        case _:
            return BackendUnavailable(shown, retry_after=wait)


def retry_after(headers: Mapping[str, str], details: Mapping[str, Json]) -> float:
    """Seconds to wait: from the header, else from the ``Status``, else 1."""
    for value in (headers.get("Retry-After"), details.get("retryAfterSeconds")):
        try:
            seconds = float(value) if isinstance(value, str | int | float) else -1.0
        except ValueError:
            continue  # a date: API servers never send one
        if 0 <= seconds < float("inf"):
            return min(seconds, MAX_RETRY_AFTER)
    return 1.0


def _status(body: bytes) -> Mapping[str, Json]:
    try:
        document = as_object(orjson.loads(body))
    except ValueError:
        return {}
    return document if document.get("kind") == "Status" else {}


def _problems(message: str, details: Mapping[str, Json]) -> Iterator[Problem]:
    """One problem for each field that the API server names, its path starting with ``$``."""
    if typed := _UNTYPED.search(message):
        # Server-side apply of a field that the schema lacks or has with another type: older servers return 500.
        for line in typed[1].splitlines() or [typed[1]]:
            match = _FIELD.match(line.strip())
            yield Problem(f"${match['field']}", match["message"]) if match else Problem("$", line.strip())
        return
    if fields := _STRICT.findall(message):
        yield from (Problem(f"$.{field}", "is unknown to the Kubernetes API") for field in fields)
        return
    for cause in map(as_object, as_list(details.get("causes"))):
        if (field := as_text(cause.get("field"))) and as_text(cause.get("reason")) != "FieldManagerConflict":
            yield Problem(
                f"$.{field.lstrip('.')}", as_text(cause.get("message")) or "is rejected by the Kubernetes API"
            )


def _conflict(reason: str, details: Mapping[str, Json], shown: str) -> CandyError:
    if reason == "AlreadyExists":
        return Exists(shown)
    causes = [as_object(cause) for cause in as_list(details.get("causes"))]
    owned = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if owned:
        fields = "; ".join(f"{as_text(cause.get('field'))}: {as_text(cause.get('message'))}" for cause in owned)
        return FieldConflict(f"another field manager owns what would change: {fields[:MAX_MESSAGE]}")
    # An old version and a failed precondition both have this reason and no cause.
    return Stale(shown) if reason == "Conflict" else Conflict(shown)


def _missing_resource(path: str) -> str:
    """The message for an unknown resource. A path ``/apis/GROUP/VERSION/…/PLURAL`` gives the name of the CRD."""
    segments = path.strip("/").split("/")
    if segments[0] == "apis" and len(segments) > 3:
        _, group, version, plural, *rest = segments
        if plural == "namespaces" and len(rest) > 1:
            plural = rest[1]
        return (
            f"the cluster does not serve {plural} of {group}/{version}: "
            f"install the CustomResourceDefinition {plural}.{group}"
        )
    return f"the cluster does not serve {path}"
