"""Puts the resources together: the routes table is the source of routing and of the API's document alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from candy_core.web import config, deadletters, docs, heartbeat, metrics, openapi, plugins, probes, rules, tasks
from candy_core.web.auth import Doorkeeper, FailureLimiter
from candy_core.web.call import RequestLimits
from candy_core.web.gate import Gate
from candy_core.web.operation import Operation
from candy_core.web.services import Services

RESOURCES = (probes, tasks, rules, deadletters, plugins, config, heartbeat, metrics)
"""The modules that have ``operations(services)``; a new resource is one more."""


def operations_of(services: Services) -> tuple[Operation, ...]:
    """Every operation of the API, its own documents among them."""
    found = [operation for resource in RESOURCES for operation in resource.operations(services)]
    documents = [openapi.operation(services, lambda: everything), docs.operation(lambda: everything)]
    everything = (*found, *documents)
    return everything


def make_application(
    services: Services, *, limits: RequestLimits | None = None, limiter: FailureLimiter | None = None
) -> web.Application:
    """The REST API over ``services``. ``limits`` and ``limiter`` stand in for the usual bounds, in tests mostly."""
    bounds = limits or RequestLimits(size=services.settings.max_body)
    gate = Gate(Doorkeeper(services.keys, limiter or FailureLimiter()), bounds, services.metrics)

    @web.middleware
    async def unrouted(request: web.Request, handler: Handler) -> web.StreamResponse:
        error = request.match_info.http_exception
        if error is not None:
            return await gate.answer_unrouted(request, error)
        return await handler(request)

    application = web.Application(
        middlewares=[unrouted],
        client_max_size=bounds.size,
        handler_args={
            "access_log": None,  # ours is JSON, without the query string and with the request's id
            "auto_decompress": False,  # a compressed body is refused before it is inflated
            "max_line_size": 8190,
            "max_field_size": 8190,
            "keepalive_timeout": bounds.idle,
            "lingering_time": 5.0,
        },
    )
    _add_routes(application, operations_of(services), gate)
    return application


async def _no_expectation(request: web.Request) -> None:
    """Promise nothing before the key has been looked at; the reader of bodies answers ``100-continue``."""


def _add_routes(application: web.Application, operations: Sequence[Operation], gate: Gate) -> None:
    for operation in operations:
        methods = ("GET", "HEAD") if operation.method == "GET" else (operation.method,)
        for method in methods:
            application.router.add_route(
                method, operation.path, partial(gate.answer, operation), expect_handler=_no_expectation
            )
