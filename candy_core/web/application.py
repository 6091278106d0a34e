"""The aiohttp application: one table of operations gives the routes and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from candy_core.web import config, deadletters, docs, heartbeat, metrics, openapi, plugins, probes, rules, tasks
from candy_core.web.auth import Authenticator, FailureLimiter
from candy_core.web.operation import Operation
from candy_core.web.pipeline import RequestPipeline
from candy_core.web.request_context import RequestLimits
from candy_core.web.services import Services

RESOURCES = (probes, tasks, rules, deadletters, plugins, config, heartbeat, metrics)
"""The modules with a function ``operations(services)``; add a new resource here."""


def operations_of(services: Services) -> tuple[Operation, ...]:
    """Every operation of the API, including its documents."""
    found = [operation for resource in RESOURCES for operation in resource.operations(services)]
    documents = [openapi.operation(services, lambda: everything), docs.operation(lambda: everything)]
    everything = (*found, *documents)
    return everything


def make_application(
    services: Services, *, limits: RequestLimits | None = None, limiter: FailureLimiter | None = None
) -> web.Application:
    """The REST API of ``services``. ``limits`` and ``limiter`` replace the defaults, mostly in tests."""
    limits = limits or RequestLimits(size=services.settings.max_body)
    pipeline = RequestPipeline(Authenticator(services.keys, limiter or FailureLimiter()), limits, services.metrics)

    @web.middleware
    async def unrouted(request: web.Request, handler: Handler) -> web.StreamResponse:
        error = request.match_info.http_exception
        if error is not None:
            return await pipeline.handle_unrouted(request, error)
        return await handler(request)

    application = web.Application(
        middlewares=[unrouted],
        client_max_size=limits.size,
        handler_args={
            "access_log": None,  # the pipeline logs JSON, with the request's id and without the query string
            "auto_decompress": False,  # a compressed body is rejected before it is decompressed
            "max_line_size": 8190,
            "max_field_size": 8190,
            "keepalive_timeout": limits.idle,
            "lingering_time": 5.0,
        },
    )
    _add_routes(application, operations_of(services), pipeline)
    return application


async def _no_expectation(request: web.Request) -> None:
    """Send no ``100 Continue`` yet: :func:`candy_core.web.requests.read_json` does, after authentication."""


def _add_routes(application: web.Application, operations: Sequence[Operation], pipeline: RequestPipeline) -> None:
    for operation in operations:
        methods = ("GET", "HEAD") if operation.method == "GET" else (operation.method,)
        for method in methods:
            application.router.add_route(
                method, operation.path, partial(pipeline.handle, operation), expect_handler=_no_expectation
            )
