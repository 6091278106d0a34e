"""The pipeline of every request: its id, authentication, the handler, errors, the access log."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping

import structlog
from aiohttp import web
from prometheus_client import Counter

from candy_core.errors import CandyError
from candy_core.metrics import Metrics
from candy_core.web.auth import Authenticator
from candy_core.web.operation import NoQuery, Operation
from candy_core.web.problems import INTERNAL, ProblemResponse, RequestRejected, problem_of, problem_of_http_error
from candy_core.web.request_context import RequestContext, RequestLimits

_VALID_ID = re.compile(r"[\x20-\x7e]{1,128}")
_NO_ROUTE = "none"
_DEFAULT_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Server": "candy-agent",
}


def request_id_of(request: web.BaseRequest) -> str:
    """The caller's ``X-Request-ID`` if it is 1 to 128 printable ASCII characters, else a new one."""
    given = request.headers.get("X-Request-ID", "")
    return given if _VALID_ID.fullmatch(given) else os.urandom(16).hex()


def add_headers(response: web.StreamResponse, request_id: str) -> None:
    """Add the headers that every response has."""
    headers = response.headers
    headers["X-Request-ID"] = request_id
    for name, value in _DEFAULT_HEADERS.items():
        if name not in headers:
            headers[name] = value


class RequestPipeline:
    """Handles requests. It replaces aiohttp's middlewares, which cost a call each."""

    def __init__(self, authenticator: Authenticator, limits: RequestLimits, metrics: Metrics) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._metrics = metrics
        self._log = structlog.get_logger("candy.web")
        self._counters: dict[tuple[str, int], Counter] = {}

    async def handle(self, operation: Operation, request: web.Request) -> web.StreamResponse:
        """Handle a request to ``operation``. Every error becomes a problem document."""
        began = time.perf_counter()
        request_id = request_id_of(request)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response: web.Response
        try:
            caller = self._authenticator.authenticate(request, operation)
            context = RequestContext(request, caller, self._limits, request_id)
            if operation.query is NoQuery and operation.body is None and request.query_string:
                context.query(NoQuery)  # raises, and names each parameter
            response = await operation.handler(context)
        except Exception as error:  # noqa: BLE001  # whatever it is becomes a response
            response = self._problem(error, operation).response(request_id)
        self._complete(response, request, operation.path, request_id, began)
        return response

    async def handle_unrouted(self, request: web.Request, error: web.HTTPException) -> web.StreamResponse:
        """Handle a request that no operation matches: 404, or 405 with ``Allow``."""
        began = time.perf_counter()
        request_id = request_id_of(request)
        response = problem_of_http_error(error).response(request_id)
        self._complete(response, request, _NO_ROUTE, request_id, began)
        return response

    def _problem(self, error: Exception, operation: Operation) -> ProblemResponse:
        problem = INTERNAL
        if isinstance(error, RequestRejected):
            problem = error.problem
        elif isinstance(error, CandyError):
            problem = problem_of(error)
        elif isinstance(error, web.HTTPException):
            problem = problem_of_http_error(error)
        if problem is INTERNAL:
            self._log.error("request_failed", route=operation.path, method=operation.method, exc_info=error)
        return problem

    def _complete(
        self, response: web.Response, request: web.Request, route: str, request_id: str, began: float
    ) -> None:
        add_headers(response, request_id)
        status = response.status
        counter = self._counters.get((route, status))
        if counter is None:
            counter = self._counters[route, status] = self._metrics.requests.labels(route, str(status))
        counter.inc()
        # A client without a key must not be able to fill the log. The authenticator logs wrong keys, at a limited rate.
        log = self._log.info if status >= 400 and status not in (401, 429) and route != _NO_ROUTE else self._log.debug
        log(
            "request",
            method=request.method,
            route=route,
            status=status,
            duration_ms=round((time.perf_counter() - began) * 1000, 3),
            request_id=request_id,
        )
