"""Is the agent alive, and is it able to work (contract section 6)."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from attrs import frozen

from candy_core.heartbeat import NOT_YET
from candy_core.web.call import Call
from candy_core.web.operation import Answer, Operation, answer
from candy_core.web.services import Services


@frozen(kw_only=True)
class Alive:
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


class Probes:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def health(self, call: Call) -> web.Response:
        """GET /health."""
        return answer(Alive(status="running", version=self._services.version, uptime=self._services.uptime))

    async def ready(self, call: Call) -> web.Response:
        """GET /ready."""
        services = self._services
        status, checks, reasons = self._look()
        informed = call.caller is not None and call.caller.allows("agent:read")
        readiness = Readiness(
            status=status,
            version=services.version,
            uptime=services.uptime,
            checks=checks,
            reasons=reasons if informed else None,
        )
        return answer(readiness, status=200 if status == "ready" else 503, drop_none=True)

    def _look(self) -> tuple[str, dict[str, str], dict[str, str]]:
        services = self._services
        checks: dict[str, str] = {}
        reasons: dict[str, str] = {}
        stalled = services.engine.stalled
        draining = services.engine.draining
        checks["execution"] = "stopped" if stalled is not None else "ok"
        if stalled is not None:
            reasons["execution"] = stalled
        checks["intake"] = "draining" if draining else "ok"
        trouble = services.heartbeat.trouble
        if not services.settings.server_url:
            checks["server"] = "not configured"
            reasons["server"] = "CANDY_SERVER_URL is not set: no heartbeat and no callback"
        else:  # told, and no more than that: a missing Candy-Server never stops the agent (contract section 4)
            checks["server"] = "ok" if trouble is None else "unknown" if trouble == NOT_YET else "unreachable"
            if trouble is not None:
                reasons["server"] = trouble
        checks.update(services.host.checks())
        errors = {plugin.name: plugin.error for plugin in services.host.plugins() if plugin.error}
        reasons.update({f"plugin:{name}": error for name, error in errors.items()})
        for name in services.host.required_down():
            checks.setdefault(f"plugin:{name}", "failed")
            reasons[f"plugin:{name}"] = f"required: {errors.get(name) or 'it is not there'}"
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
    """The routes of the probes."""
    probes = Probes(services)
    return (
        Operation(
            method="GET",
            path="/health",
            handler=probes.health,
            scope=None,
            tag="agent",
            summary="Is the process alive",
            query=None,
            answers={200: Answer("It is.", Alive)},
        ),
        Operation(
            method="GET",
            path="/ready",
            handler=probes.ready,
            scope=None,
            tag="agent",
            summary="Is the agent able to work",
            description="A key with agent:read also gets the reasons.",
            query=None,
            answers={
                200: Answer("It is.", Readiness),
                503: Answer(
                    "It is starting or draining, no items are being run, or a required plugin is down.", Readiness
                ),
            },
        ),
    )
