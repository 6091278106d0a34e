"""The agent's own metrics (contract section 6)."""

from __future__ import annotations

from aiohttp import web

from candy_core.web.operation import Operation, ResponseSpec
from candy_core.web.request_context import RequestContext
from candy_core.web.services import Services


class MetricsHandlers:
    """The handlers of :func:`operations`."""

    def __init__(self, services: Services) -> None:
        self._engine = services.engine
        self._metrics = services.metrics

    async def scrape(self, context: RequestContext) -> web.Response:
        """GET /metrics."""
        counts = await self._engine.counts()
        metrics = self._metrics
        metrics.tasks_pending.set(counts.pending)
        metrics.tasks_running.set(counts.running)
        metrics.queue_capacity.set(counts.capacity)
        for state in ("received", "delivered", "dead", "waiting"):
            metrics.deliveries.labels(state).set(getattr(counts, state))
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def operations(services: Services) -> tuple[Operation, ...]:
    """The metrics operation."""
    return (
        Operation(
            method="GET",
            path="/metrics",
            handler=MetricsHandlers(services).scrape,
            scope="metrics:read",
            tag="agent",
            summary="The agent's own metrics, for Prometheus",
            query=None,
            responses={200: ResponseSpec("The Prometheus text format.", media="text/plain")},
        ),
    )
