"""Settings that can change at run time (contract section 6)."""

from __future__ import annotations

from aiohttp import web

from candy_core.web.operation import NoQuery, Operation, ResponseSpec, json_response
from candy_core.web.request_context import RequestContext
from candy_core.web.requests import read_json
from candy_core.web.services import Services


class ConfigHandlers:
    """The handlers of :func:`operations`."""

    def __init__(self, services: Services) -> None:
        self._runtime = services.runtime

    async def read(self, context: RequestContext) -> web.Response:
        """GET /api/v1/config."""
        return json_response(self._runtime.current)

    async def change(self, context: RequestContext) -> web.Response:
        """POST /api/v1/config."""
        changes = await read_json(context)
        context.query(NoQuery)
        return json_response(self._runtime.apply(changes))


def operations(services: Services) -> tuple[Operation, ...]:
    """Configuration operations."""
    handlers = ConfigHandlers(services)
    record = type(services.runtime.current)
    return (
        Operation(
            method="GET",
            path="/api/v1/config",
            handler=handlers.read,
            scope="agent:read",
            tag="agent",
            summary="Read the settings that can change at run time",
            responses={200: ResponseSpec("The effective values.", record)},
        ),
        Operation(
            method="POST",
            path="/api/v1/config",
            handler=handlers.change,
            scope="agent:config",
            tag="agent",
            summary="Change settings",
            description="All or nothing, effective at once, not kept after a restart.",
            body=record,
            partial_body=True,
            responses={200: ResponseSpec("The effective values.", record)},
        ),
    )
