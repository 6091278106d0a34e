"""Liveness and readiness (contract section 6)."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from attrs import frozen

from candy_core.heartbeat import NO_ANSWER_YET
from candy_core.web.operation import Operation, ResponseSpec, json_response
from candy_core.web.request_context import RequestContext
from candy_core.web.services import Services


@frozen(kw_only=True)
class Liveness:
    """``uptime`` in whole seconds."""

    status: str
    version: str
    uptime: int


@frozen(kw_only=True)
class Readiness:
    """``status`` is ``ready``, ``starting``, ``draining`` or ``error``; ``reasons`` only for a key with agent:read."""

    status: str
    version: str
    uptime: int
    checks: Mapping[str, str]
    reasons: Mapping[str, str] | None = None


class ProbeHandlers:
    """The handlers of :func:`operations`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def health(self, context: RequestContext) -> web.Response:
        """GET /health."""
        return json_response(Liveness(status="running", version=self._services.version, uptime=self._services.uptime))

    async def ready(self, context: RequestContext) -> web.Response:
        """GET /ready."""
        services = self._services
        status, checks, reasons = self._evaluate()
        with_reasons = context.caller is not None and context.caller.allows("agent:read")
        readiness = Readiness(
            status=status,
            version=services.version,
            uptime=services.uptime,
            checks=checks,
            reasons=reasons if with_reasons else None,
        )
        return json_response(readiness, status=200 if status == "ready" else 503, drop_none=True)

    def _evaluate(self) -> tuple[str, dict[str, str], dict[str, str]]:
        services = self._services
        checks: dict[str, str] = {}
        reasons: dict[str, str] = {}
        stalled = services.engine.stalled
        draining = services.engine.draining
        checks["execution"] = "stopped" if stalled is not None else "ok"
        if stalled is not None:
            reasons["execution"] = stalled
        checks["intake"] = "draining" if draining else "ok"
        error = services.heartbeat.last_error
        if not services.settings.server_url:
            checks["server"] = "not configured"
            reasons["server"] = "CANDY_SERVER_URL is not set: no heartbeat and no callback"
        else:  # shown only: without Candy-Server the agent is still ready (contract section 4)
            checks["server"] = "ok" if error is None else "unknown" if error == NO_ANSWER_YET else "unreachable"
            if error is not None:
                reasons["server"] = error
        checks.update(services.host.checks())
        errors = {plugin.name: plugin.error for plugin in services.host.plugins() if plugin.error}
        reasons.update({f"plugin:{name}": error for name, error in errors.items()})
        for name in services.host.required_down():
            checks.setdefault(f"plugin:{name}", "failed")
            reasons[f"plugin:{name}"] = f"required: {errors.get(name) or 'it is blocked or not installed'}"
        for reporter, why in services.delivery.blocked().items():
            checks[f"delivery:{reporter}"] = "blocked"
            reasons[f"delivery:{reporter}"] = why
        if draining:
            return "draining", checks, reasons
        if services.starting():
            return "starting", checks, reasons
        if stalled is not None or services.host.required_down():
            return "error", checks, reasons
        return "ready", checks, reasons


def operations(services: Services) -> tuple[Operation, ...]:
    """Probe operations."""
    handlers = ProbeHandlers(services)
    return (
        Operation(
            method="GET",
            path="/health",
            handler=handlers.health,
            scope=None,
            tag="agent",
            summary="Whether the process is alive",
            query=None,
            responses={200: ResponseSpec("The process is alive.", Liveness)},
        ),
        Operation(
            method="GET",
            path="/ready",
            handler=handlers.ready,
            scope=None,
            tag="agent",
            summary="Whether the agent is able to work",
            description="With a key that has agent:read, the reasons too.",
            query=None,
            responses={
                200: ResponseSpec("The agent is ready.", Readiness),
                503: ResponseSpec(
                    "It is starting or draining, no items are being run, or a required plugin is down.", Readiness
                ),
            },
        ),
    )
