"""A heartbeat on demand (contract section 4)."""

from __future__ import annotations

from aiohttp import web

from candy_core.errors import NotFound
from candy_core.model.heartbeat import Heartbeat
from candy_core.web.call import Call
from candy_core.web.operation import Answer, Operation, answer
from candy_core.web.services import Services


class Heartbeats:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._heartbeat = services.heartbeat
        self._agent_id = services.settings.agent_id

    async def send(self, call: Call) -> web.Response:
        """POST /api/v1/heartbeat/{agent_id}."""
        if call.path("agent_id") != self._agent_id:
            raise NotFound(f"This agent is {self._agent_id}.")
        return answer(await self._heartbeat.send_now(), drop_none=True)


def operations(services: Services) -> tuple[Operation, ...]:
    """The route of the heartbeat."""
    return (
        Operation(
            method="POST",
            path="/api/v1/heartbeat/{agent_id}",
            handler=Heartbeats(services).send,
            scope="agent:config",
            tag="agent",
            summary="Send a heartbeat to Candy-Server now",
            path_parameters={"agent_id": "This agent's id."},
            answers={200: Answer("The heartbeat as it was sent, its key masked.", Heartbeat)},
            codes=("backend_unavailable",),
        ),
    )
