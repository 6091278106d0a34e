"""A heartbeat on demand (contract section 4)."""

from __future__ import annotations

from aiohttp import web

from candy_core.errors import NotFound
from candy_core.model.heartbeat import Heartbeat
from candy_core.web.operation import Operation, ResponseSpec, json_response
from candy_core.web.request_context import RequestContext
from candy_core.web.services import Services


class HeartbeatHandlers:
    """The handlers of :func:`operations`."""

    def __init__(self, services: Services) -> None:
        self._heartbeat = services.heartbeat
        self._agent_id = services.settings.agent_id

    async def send(self, context: RequestContext) -> web.Response:
        """POST /api/v1/heartbeat/{agent_id}."""
        if context.path("agent_id") != self._agent_id:
            raise NotFound(f"This agent is {self._agent_id}.")
        return json_response(await self._heartbeat.send_now(), drop_none=True)


def operations(services: Services) -> tuple[Operation, ...]:
    """The heartbeat operation."""
    return (
        Operation(
            method="POST",
            path="/api/v1/heartbeat/{agent_id}",
            handler=HeartbeatHandlers(services).send,
            scope="agent:config",
            tag="agent",
            summary="Send a heartbeat to Candy-Server now",
            path_parameters={"agent_id": "This agent's id."},
            responses={200: ResponseSpec("The heartbeat that was sent, with its key masked.", Heartbeat)},
            codes=("backend_unavailable",),
        ),
    )
