"""What the plugin announces. Importing it connects to nothing, and imports no HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from candy_callback.settings import CallbackSettings
from candy_callback.target import callback_problems, has_target
from candy_core import PluginContext, Reporter, ReporterSpec, hookimpl


@asynccontextmanager
async def open_reporter(context: PluginContext, settings: CallbackSettings) -> AsyncIterator[Reporter]:
    """Open one HTTP client, whose connections are kept for the next result. Nothing is connected yet."""
    from candy_callback.reporter import CallbackReporter, tls_context

    tls = await asyncio.to_thread(tls_context, context, settings)
    async with context.http(
        connections=settings.max_connections,
        timeout=settings.timeout,
        connect_timeout=min(10.0, settings.timeout),
        tls=tls,
    ) as http:
        yield CallbackReporter(context, settings, http)


@hookimpl
def candy_reporters() -> Iterable[ReporterSpec[CallbackSettings]]:
    """Announce the reporter ``callback``."""
    return [
        ReporterSpec(
            name="callback",
            settings=CallbackSettings,
            open=open_reporter,
            formats=("candy",),
            wants=has_target,
            check_callback=callback_problems,
            max_age=lambda settings: settings.max_age,
        )
    ]
