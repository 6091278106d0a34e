"""Installed plugins (contract section 6)."""

from __future__ import annotations

from aiohttp import web
from attrs import frozen

from candy_core.registry import PluginRecord
from candy_core.web.operation import Operation, ResponseSpec, json_response
from candy_core.web.request_context import RequestContext
from candy_core.web.services import Services


@frozen(kw_only=True)
class PluginList:
    """Every plugin, with its state."""

    plugins: tuple[PluginRecord, ...]


class PluginHandlers:
    """The handlers of :func:`operations`."""

    def __init__(self, services: Services) -> None:
        self._host = services.host

    async def list(self, context: RequestContext) -> web.Response:
        """GET /api/v1/plugins."""
        return json_response(PluginList(plugins=self._host.plugins()))


def operations(services: Services) -> tuple[Operation, ...]:
    """The plugin operation."""
    return (
        Operation(
            method="GET",
            path="/api/v1/plugins",
            handler=PluginHandlers(services).list,
            scope="agent:read",
            tag="agent",
            summary="List the plugins and their states",
            responses={200: ResponseSpec("Every installed plugin.", PluginList)},
        ),
    )
