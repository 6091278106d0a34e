"""Problem documents for what aiohttp rejects itself, before there is a request (contract section 1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from candy_core.web.pipeline import add_headers, request_id_of
from candy_core.web.problems import INTERNAL, ProblemResponse, problem_of_http_error

_log = structlog.get_logger("candy.web")


class Runner(web.AppRunner):
    """Runs an application that answers malformed HTTP with a problem document too.

    aiohttp has no public way to change these responses, so its server and its connection are subclassed here.
    ``tests/web/test_hostile_http.py`` checks the result.
    """

    async def _make_server(self) -> web.Server:
        made: Any = await super()._make_server()  # the handler's arguments have no public name
        return _Server(
            _without_http_errors(made.request_handler),
            request_factory=made.request_factory,
            **made._kwargs,
        )


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to a request that could not be parsed, or to an error outside every handler."""
        request_id = request_id_of(request)
        if request.writer.output_size > 0:
            raise ConnectionError("the response had begun; the connection is closed")
        if isinstance(exc, HttpProcessingError) or status < 500:
            # Debug only: a client without a key must not be able to fill the log.
            _log.debug("request_malformed", address=request.remote, request_id=request_id)
            problem = ProblemResponse(
                code="bad_json", detail="This is not an HTTP/1.1 request within the agent's limits."
            )
        else:
            _log.error("connection_failed", address=request.remote, request_id=request_id, exc_info=exc)
            problem = INTERNAL
        response = problem.response(request_id)
        add_headers(response, request_id)
        response.force_close()
        return response


def _without_http_errors(
    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """aiohttp raises some of its errors (417, for example) outside every middleware."""

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handle(request)
        except web.HTTPException as error:
            request_id = request_id_of(request)
            response = problem_of_http_error(error).response(request_id)
            add_headers(response, request_id)
            return response

    return respond
