"""From what the API server answers to the kinds of errors that the agent knows.

An API server says what went wrong in a ``Status`` (Kubernetes API conventions, "Response Status Kind"). Its words are
kept, since they name verb, resource and namespace; a body that is none is never quoted, for it may be a proxy's that
repeats what it was sent.
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
from candy_kit_kube.json_values import elements, members, text

MAX_MESSAGE = 2000
"""Characters of a message of the API server that are kept."""
LONGEST_WAIT = 300.0
"""Seconds of a Retry-After that are believed."""

_UNTYPED = re.compile(r"failed to create typed (?:patch|live) object(?: \([^)]*\))?: (.*)", re.DOTALL)
_FIELD = re.compile(r"^(?P<field>\.[^:]*): (?P<message>.*)", re.DOTALL)
_STRICT = re.compile(r'unknown field "(?P<field>[^"]*)"')
_WEBHOOK = re.compile(r'^admission webhook "[^"]*" denied the request')


class Gone(CandyError):
    """What was asked for is too old to be had: a version to watch from, a page to go on from (410).

    ``next_page`` is the token that the API server gives instead, to go on from the same place in newer data.
    """

    code = "gone"

    def __init__(self, detail: str, *, next_page: str | None = None) -> None:
        self.next_page = next_page
        super().__init__(detail)


class TooLarge(CandyError):
    """An answer larger than the agent's own bound."""

    code = "too_large"


class NoCluster(BackendUnavailable):
    """No cluster is configured, or what is configured cannot be used: nobody was asked."""


class NoAnswer(BackendUnavailable):
    """The API server was asked, and did not answer in time."""


class MissingResource(BackendUnavailable):
    """The API server does not serve such a resource: its CustomResourceDefinition is not installed."""


class Unauthenticated(Forbidden):
    """The API server does not know who asks (401): the credential is wrong or over."""


def error_of(status: int, headers: Mapping[str, str], body: bytes, path: str) -> CandyError:
    """The error that an answer stands for. ``path`` is what was asked for, as in the request."""
    said = _status(body)
    message = text(said.get("message"))[:MAX_MESSAGE]
    details = members(said.get("details"))
    shown = f"the Kubernetes API says: {message}" if message else f"the Kubernetes API answered {status} without a word"
    wait = retry_after(headers, details)
    if (found := list(_problems(message, details))) and status in (400, 422, 500):
        return Invalid(found)
    if _WEBHOOK.match(message) and status < 500:
        return Invalid([Problem("$", message)])
    match status:
        case 400 | 413 | 422:
            return Invalid([Problem("$", message or f"the Kubernetes API refuses it with {status}")])
        case 401:
            return Unauthenticated("the Kubernetes API does not take the agent's credential (401)")
        case 403:
            return Forbidden(shown)
        case 404 if not text(details.get("name")):
            return MissingResource(_missing_resource(path))
        case 404:
            return NotFound(shown)
        case 409:
            return _conflict(text(said.get("reason")), details, shown)
        case 410:
            return Gone(shown, next_page=text(members(said.get("metadata")).get("continue")) or None)
        case 429:
            return Overloaded(shown, retry_after=wait)
        case _:
            return BackendUnavailable(shown, retry_after=wait)


def retry_after(headers: Mapping[str, str], details: Mapping[str, Json]) -> float:
    """Seconds to wait: the header's, else those of the ``Status``, else 1."""
    for said in (headers.get("Retry-After"), details.get("retryAfterSeconds")):
        try:
            seconds = float(said) if isinstance(said, str | int | float) else -1.0
        except ValueError:
            continue  # a date: no API server sends one
        if 0 <= seconds < float("inf"):
            return min(seconds, LONGEST_WAIT)
    return 1.0


def _status(body: bytes) -> Mapping[str, Json]:
    try:
        said: Json = orjson.loads(body)
    except ValueError:
        return {}
    found = members(said)
    return found if found.get("kind") == "Status" else {}


def _problems(message: str, details: Mapping[str, Json]) -> Iterator[Problem]:
    """One for each field that the API server names, as ``$`` and its path."""
    if typed := _UNTYPED.search(message):
        # Server-side apply of what the schema does not know, or has of another type: older servers answer 500.
        for line in typed[1].splitlines() or [typed[1]]:
            match = _FIELD.match(line.strip())
            yield Problem(f"${match['field']}", match["message"]) if match else Problem("$", line.strip())
        return
    if fields := _STRICT.findall(message):
        yield from (Problem(f"$.{field}", "is unknown to the Kubernetes API") for field in fields)
        return
    for cause in map(members, elements(details.get("causes"))):
        if (field := text(cause.get("field"))) and text(cause.get("reason")) != "FieldManagerConflict":
            yield Problem(f"$.{field.lstrip('.')}", text(cause.get("message")) or "is refused by the Kubernetes API")


def _conflict(reason: str, details: Mapping[str, Json], shown: str) -> CandyError:
    if reason == "AlreadyExists":
        return Exists(shown)
    causes = [members(cause) for cause in elements(details.get("causes"))]
    foreign = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if foreign:
        named = "; ".join(f"{text(cause.get('field'))}: {text(cause.get('message'))}" for cause in foreign)
        return FieldConflict(f"somebody else owns what would be changed: {named[:MAX_MESSAGE]}")
    # Both a version that has passed and a precondition that failed have this reason and no cause.
    return Stale(shown) if reason == "Conflict" else Conflict(shown)


def _missing_resource(path: str) -> str:
    """What is missing where the API server knows no such resource: ``/apis/GROUP/VERSION/…/PLURAL`` names the CRD."""
    parts = path.strip("/").split("/")
    if parts[0] == "apis" and len(parts) > 3:
        plural = parts[5] if parts[3] == "namespaces" and len(parts) > 5 else parts[3]
        return (
            f"the cluster does not serve {plural} of {parts[1]}/{parts[2]}: "
            f"install the CustomResourceDefinition {plural}.{parts[1]}"
        )
    return f"the cluster does not serve {path}"
