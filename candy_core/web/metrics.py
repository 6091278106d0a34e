"""The agent's own figures (contract section 6)."""

from __future__ import annotations

from aiohttp import web

from candy_core.web.call import Call
from candy_core.web.operation import Answer, Operation
from candy_core.web.services import Services


class Figures:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._engine = services.engine
        self._metrics = services.metrics

    async def scrape(self, call: Call) -> web.Response:
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
    """The route of the figures."""
    return (
        Operation(
            method="GET",
            path="/metrics",
            handler=Figures(services).scrape,
            scope="metrics:read",
            tag="agent",
            summary="The agent's own figures, for Prometheus",
            query=None,
            answers={200: Answer("The Prometheus text format.", media="text/plain")},
        ),
    )
