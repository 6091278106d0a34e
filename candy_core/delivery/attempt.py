"""One attempt to deliver: bounded in time, whatever the reporter does."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

from candy_core.errors import CandyError
from candy_core.faults import PluginFault, secrets_of, traceback_of
from candy_core.hosting.calls import Calls
from candy_core.metrics import Metrics
from candy_core.model.secret import Secret
from candy_core.ports.context import Logger, PluginContext
from candy_core.ports.reporter import Answer, Delivered, Delivery, Refused, Reporter, ReporterSpec, Retry


class HostedReporter(Protocol):
    """What the delivery needs of a reporter that the host holds open (:class:`candy_core.hosting.host.Hosted`)."""

    @property
    def plugin(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def spec(self) -> ReporterSpec[Any]: ...

    @property
    def settings(self) -> Any: ...

    @property
    def context(self) -> PluginContext: ...

    async def port(self) -> Reporter: ...


async def attempt(
    hosted: HostedReporter,
    delivery: Delivery,
    *,
    seconds: float,
    calls: Calls,
    metrics: Metrics,
    logger: Logger,
) -> Answer:
    """Try once, for at most ``seconds``; what is cancelled then has the patience of ``calls`` to end.

    A plugin that is down, a reporter that raises and one that gives no answer in time are a :class:`Retry`; a reporter
    that ignores its cancellation is abandoned, so that it cannot hold up the next delivery for ever.
    """
    began = time.monotonic()
    log = logger.bind(plugin=hosted.plugin, reporter=hosted.name, task_id=delivery.task_id, delivery=delivery.id)
    answer, word = await _answer(hosted, delivery, seconds, calls, log)
    metrics.delivery_seconds.labels(hosted.name).observe(time.monotonic() - began)
    metrics.delivery_attempts.labels(hosted.name, word).inc()
    return answer


async def _answer(
    hosted: HostedReporter, delivery: Delivery, seconds: float, calls: Calls, log: Logger
) -> tuple[Answer, str]:
    try:
        reporter = await hosted.port()
    except CandyError as error:
        return Retry(f"the plugin {hosted.plugin} is down: {error}"), "down"
    except Exception:
        log.exception("reporter_down")
        return Retry(f"the plugin {hosted.plugin} could not be reached"), "fault"
    call = calls.start(_deliver(reporter, delivery))
    try:
        await asyncio.wait([call], timeout=seconds)
    finally:
        if not call.done() and not await calls.stop(call):
            log.error("reporter_abandoned")
    if not call.done() or call.cancelled():
        return Retry(f"the reporter gave no answer within {seconds:g} s"), "timeout"
    if (fault := call.exception()) is not None:
        log.error("reporter_raised", exception=traceback_of(fault, hidden=_secrets(hosted, delivery)))
        return Retry(f"the reporter raised {_kind(fault)}"), "fault"
    match answer := call.result():
        case Delivered():
            return answer, "delivered"
        case Retry():
            return answer, "retry"
        case Refused():
            return answer, "refused"
    log.error("reporter_answer_wrong", kind=type(answer).__name__)
    return Retry("the reporter gave no answer that the agent knows"), "fault"


async def _deliver(reporter: Reporter, delivery: Delivery) -> Answer:
    return await reporter.deliver(delivery)


def _kind(fault: BaseException) -> str:
    cause = fault.__cause__ if isinstance(fault, PluginFault) else None
    return type(cause or fault).__name__


def _secrets(hosted: HostedReporter, delivery: Delivery) -> tuple[Secret, ...]:
    """What a fault of a reporter may have in its text: its settings' secrets, and what a task sent in headers."""
    headers = delivery.callback.headers if delivery.callback is not None else {}
    return secrets_of(hosted.settings) + tuple(Secret(value) for value in headers.values())
