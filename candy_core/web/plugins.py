"""What is installed (contract section 6)."""

from __future__ import annotations

from aiohttp import web
from attrs import frozen

from candy_core.registry import PluginRecord
from candy_core.web.call import Call
from candy_core.web.operation import Answer, Operation, answer
from candy_core.web.services import Services


@frozen(kw_only=True)
class PluginList:
    """Every entry point, with its state."""

    plugins: tuple[PluginRecord, ...]


class Plugins:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._host = services.host

    async def list(self, call: Call) -> web.Response:
        """GET /api/v1/plugins."""
        return answer(PluginList(plugins=self._host.plugins()))


def operations(services: Services) -> tuple[Operation, ...]:
    """The route of plugins."""
    return (
        Operation(
            method="GET",
            path="/api/v1/plugins",
            handler=Plugins(services).list,
            scope="agent:read",
            tag="agent",
            summary="List the plugins and their states",
            answers={200: Answer("Every plugin that was found.", PluginList)},
        ),
    )
