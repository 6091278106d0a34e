"""The context for a plugin that a test opens itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from candy_core.errors import NotFound
from candy_core.model.secret import Secret
from candy_core.ports.context import PluginContext
from candy_core.version import __version__


def plugin_context(plugin: str, credentials: Mapping[str, str] = {}, **fields: Any) -> PluginContext:
    """The context that the core would give to a plugin.

    ``credentials`` are looked up when they are needed, so a test may change them. ``fields`` are other fields of
    :class:`~candy_core.PluginContext`.
    """

    async def credential(name: str) -> Secret:
        try:
            return Secret(credentials[name])
        except KeyError:
            raise NotFound(f"no credential {name!r}: the test must give it in `credentials`") from None

    defaults = {"agent_id": "agent", "core_version": __version__, "logger": structlog.get_logger()}
    return PluginContext(plugin=plugin, **{"credential": credential, **defaults, **fields})
