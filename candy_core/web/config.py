"""What may change while the agent runs (contract section 6)."""

from __future__ import annotations

from aiohttp import web

from candy_core.web.call import Call
from candy_core.web.operation import Answer, NoQuery, Operation, answer
from candy_core.web.requests import read_json
from candy_core.web.services import Services


class Config:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._runtime = services.runtime

    async def read(self, call: Call) -> web.Response:
        """GET /api/v1/config."""
        return answer(self._runtime.current)

    async def change(self, call: Call) -> web.Response:
        """POST /api/v1/config."""
        changes = await read_json(call)
        call.query(NoQuery)
        return answer(self._runtime.apply(changes))


def operations(services: Services) -> tuple[Operation, ...]:
    """The routes of the configuration."""
    config = Config(services)
    record = type(services.runtime.current)
    return (
        Operation(
            method="GET",
            path="/api/v1/config",
            handler=config.read,
            scope="agent:read",
            tag="agent",
            summary="Read the settings that may change at run time",
            answers={200: Answer("The effective values.", record)},
        ),
        Operation(
            method="POST",
            path="/api/v1/config",
            handler=config.change,
            scope="agent:config",
            tag="agent",
            summary="Change settings",
            description="All or nothing, applied at once, not kept beyond the process.",
            body=record,
            partial_body=True,
            answers={200: Answer("The effective values.", record)},
        ),
    )
