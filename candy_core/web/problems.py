"""Errors on the wire: RFC 9457 problem documents (contract section 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from attrs import evolve, frozen

from candy_core.codec import encode
from candy_core.errors import CandyError, Invalid, Problem, Retriable

MEDIA_TYPE = "application/problem+json"


@frozen
class ProblemType:
    """A code of contract section 1: its status, its title, and ``when`` it occurs, for the OpenAPI document."""

    status: int
    title: str
    when: str = ""


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    "bad_json": ProblemType(400, "The request cannot be read", "The body is not JSON, or is incomplete."),
    "unauthenticated": ProblemType(401, "A valid key is needed", "There is no valid key."),
    "forbidden": ProblemType(403, "The key does not allow this", "The key lacks the scope."),
    "not_managed": ProblemType(
        403, "The agent does not manage this object", "The agent does not manage the object, and leaves it alone."
    ),
    "not_found": ProblemType(404, "Not found", "It does not exist, or not any more."),
    "method_not_allowed": ProblemType(405, "The method is not allowed here"),
    "conflict": ProblemType(
        409,
        "The request conflicts with the current state",
        "A task with this id has another body; or several backends hold a rule of this name.",
    ),
    "exists": ProblemType(
        409,
        "An object of that name already exists",
        "The rule exists, or another one whose name maps to the same object.",
    ),
    "stale": ProblemType(409, "The object has changed since it was read", "The rule has changed since it was read."),
    "field_conflict": ProblemType(
        409, "A field of the object has another owner", "A field of the object has another owner, which is named."
    ),
    "ended": ProblemType(409, "The task has ended", "The task has ended."),
    "too_large": ProblemType(413, "The request is too large", "The body is larger than CANDY_MAX_BODY."),
    "unsupported_media_type": ProblemType(
        415, "The body has to be JSON", "The body is not sent as application/json, or is compressed."
    ),
    "invalid": ProblemType(422, "The request is not valid", "The request is not valid; errors lists every problem."),
    "queue_full": ProblemType(429, "The queue is full", "The queue of tasks is full."),
    "slow_down": ProblemType(429, "Too many failures", "Too many requests without a valid key came from this address."),
    "internal": ProblemType(500, "Internal error"),
    "draining": ProblemType(503, "The agent is shutting down", "The agent is shutting down."),
    "overloaded": ProblemType(503, "The agent is overloaded", "The agent has no capacity for this now."),
    "backend_unavailable": ProblemType(
        503, "A system that this needs is unavailable", "A system that this needs is unavailable."
    ),
}
_DETAIL_LIMIT = 400


@frozen(kw_only=True)
class ProblemDocument:
    """The body of every error. ``code`` is a stable machine word; ``errors`` lists every problem found."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[Problem, ...]
    request_id: str


@frozen(kw_only=True)
class ProblemResponse:
    """An error before it is written: its code, its text, and the headers that belong to it."""

    code: str
    detail: str
    errors: tuple[Problem, ...] = ()
    headers: Mapping[str, str] = {}
    close: bool = False
    """Whether to close the connection, because the end of the request cannot be found on it."""

    def response(self, request_id: str) -> web.Response:
        """The HTTP response."""
        kind = PROBLEM_TYPES[self.code]
        document = ProblemDocument(
            type=f"urn:candy-agent:problem:{self.code}",
            title=kind.title,
            status=kind.status,
            detail=self.detail,
            code=self.code,
            errors=self.errors,
            request_id=request_id,
        )
        response = web.Response(
            status=kind.status, body=encode(document), content_type=MEDIA_TYPE, headers=dict(self.headers)
        )
        if self.close:
            response.force_close()
        return response


class RequestRejected(Exception):
    """Raised by the REST layer for a problem that has no class in :mod:`candy_core.errors`."""

    def __init__(
        self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, close: bool = False
    ) -> None:
        self.problem = ProblemResponse(code=code, detail=detail, headers=headers or {}, close=close)
        super().__init__(detail)


INTERNAL = ProblemResponse(code="internal", detail="An unexpected error; the agent's log has it under this request_id.")


def problem_of(error: CandyError) -> ProblemResponse:
    """The problem response for an error of the agent's own; :data:`INTERNAL` for one that has no code on the wire."""
    code = error.code
    if code == "not_configured":  # the request is valid, but what it needs is not configured
        code = "backend_unavailable"
    if code not in PROBLEM_TYPES or code == INTERNAL.code:
        return INTERNAL
    problem = ProblemResponse(code=code, detail=_shorten(str(error)))
    if isinstance(error, Invalid):
        return evolve(problem, errors=error.problems, detail=_detail(error))
    if isinstance(error, Retriable):
        return evolve(problem, headers=retry_after(error.retry_after))
    if PROBLEM_TYPES[code].status in (429, 503):
        return evolve(problem, headers=retry_after(1.0))
    return problem


def problem_of_http_error(error: web.HTTPException) -> ProblemResponse:
    """The problem response for an error that aiohttp raised."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return ProblemResponse(
            code="method_not_allowed",
            detail=f"This path allows {allowed or 'no method'}.",
            headers={"Allow": allowed},
        )
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ProblemResponse(code="too_large", detail="The request is too large.", close=True)
    if error.status == HTTPStatus.NOT_FOUND:
        return ProblemResponse(code="not_found", detail="This path does not exist; GET /docs lists all paths.")
    if HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProblemResponse(code="bad_json", detail=f"The request cannot be read: {error.reason}.", close=True)
    return INTERNAL


def retry_after(seconds: float) -> dict[str, str]:
    """The ``Retry-After`` header, rounded up to whole seconds."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _detail(error: Invalid) -> str:
    text = str(error)
    if len(text) <= _DETAIL_LIMIT or not error.problems:
        return _shorten(text)
    first = error.problems[0]
    return _shorten(f"{len(error.problems)} problems; the first: {first.path}: {first.message}")


def _shorten(text: str) -> str:
    return text if len(text) <= _DETAIL_LIMIT else text[: _DETAIL_LIMIT - 1] + "…"
