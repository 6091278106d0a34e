"""What every request passes through, once: its id, the key, the handler, the errors, the access log."""

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
from candy_core.web.auth import Doorkeeper
from candy_core.web.call import Call, RequestLimits
from candy_core.web.operation import NoQuery, Operation
from candy_core.web.problems import INTERNAL, Refusal, Refused, of_http_error, refusal_of

_SANE_ID = re.compile(r"[\x20-\x7e]{1,128}")
_NO_ROUTE = "none"
_SAFETY: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Server": "candy-agent",
}


def request_id_of(request: web.BaseRequest) -> str:
    """The caller's ``X-Request-ID`` where it is 1 to 128 printable ASCII characters, else a new one."""
    given = request.headers.get("X-Request-ID", "")
    return given if _SANE_ID.fullmatch(given) else os.urandom(16).hex()


def finish(response: web.StreamResponse, request_id: str) -> None:
    """Put on a response the headers that every answer has."""
    headers = response.headers
    headers["X-Request-ID"] = request_id
    for name, value in _SAFETY.items():
        if name not in headers:
            headers[name] = value


class Gate:
    """Answers requests. aiohttp's own middlewares cost a call each, so there is one of these and nothing else."""

    def __init__(self, doorkeeper: Doorkeeper, limits: RequestLimits, metrics: Metrics) -> None:
        self._doorkeeper = doorkeeper
        self._limits = limits
        self._metrics = metrics
        self._log = structlog.get_logger("candy.web")
        self._counters: dict[tuple[str, int], Counter] = {}

    async def answer(self, operation: Operation, request: web.Request) -> web.StreamResponse:
        """Answer a request to ``operation``; every error comes out as a problem document."""
        began = time.perf_counter()
        request_id = request_id_of(request)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response: web.Response
        try:
            caller = self._doorkeeper.admit(request, operation)
            call = Call(request, caller, self._limits, request_id)
            if operation.query is NoQuery and operation.body is None and request.query_string:
                call.query(NoQuery)  # refuses, and names what stands there
            response = await operation.handler(call)
        except Exception as error:  # noqa: BLE001  # the last line of defence: whatever it is becomes an answer
            response = self._refuse(error, operation).response(request_id)
        self._leave(response, request, operation.path, request_id, began)
        return response

    async def answer_unrouted(self, request: web.Request, error: web.HTTPException) -> web.StreamResponse:
        """Answer a request for which there is no operation: 404, or 405 with ``Allow``."""
        began = time.perf_counter()
        request_id = request_id_of(request)
        response = of_http_error(error).response(request_id)
        self._leave(response, request, _NO_ROUTE, request_id, began)
        return response

    def _refuse(self, error: Exception, operation: Operation) -> Refusal:
        refusal: Refusal | None = None
        if isinstance(error, Refused):
            refusal = error.refusal
        elif isinstance(error, CandyError):
            refusal = refusal_of(error)
        elif isinstance(error, web.HTTPException):
            refusal = of_http_error(error)
        if refusal is None or refusal is INTERNAL:
            self._log.error("request_failed", route=operation.path, method=operation.method, exc_info=error)
            return INTERNAL
        return refusal

    def _leave(self, response: web.Response, request: web.Request, route: str, request_id: str, began: float) -> None:
        finish(response, request_id)
        status = response.status
        counter = self._counters.get((route, status))
        if counter is None:
            counter = self._counters[route, status] = self._metrics.requests.labels(route, str(status))
        counter.inc()
        # Strangers must not be able to fill the log; of wrong keys the doorkeeper tells, within bounds.
        log = self._log.info if status >= 400 and status not in (401, 429) and route != _NO_ROUTE else self._log.debug
        log(
            "request",
            method=request.method,
            route=route,
            status=status,
            duration_ms=round((time.perf_counter() - began) * 1000, 3),
            request_id=request_id,
        )
