"""One attempt to deliver, limited in time whatever the reporter does."""

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
    """What is needed of a reporter that the host keeps open (:class:`candy_core.hosting.Hosted`)."""

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
    """Try once, for at most ``seconds``; a call canceled then has the grace of ``calls`` to end.

    If the plugin is down, or the reporter raises or gives no answer in time, the answer is :class:`Retry`. A reporter
    that ignores its cancellation is abandoned, so that it cannot block the next delivery forever.
    """
    began = time.monotonic()
    log = logger.bind(plugin=hosted.plugin, reporter=hosted.name, task_id=delivery.task_id, delivery=delivery.id)
    answer, label = await _answer(hosted, delivery, seconds, calls, log)
    metrics.delivery_seconds.labels(hosted.name).observe(time.monotonic() - began)
    metrics.delivery_attempts.labels(hosted.name, label).inc()
    return answer


async def _answer(
    hosted: HostedReporter, delivery: Delivery, seconds: float, calls: Calls, log: Logger
) -> tuple[Answer, str]:
    """The answer, and its label in the metrics."""
    try:
        reporter = await hosted.port()
    except CandyError as error:
        return Retry(f"the plugin {hosted.plugin} is down: {error}"), "down"
    except Exception:
        log.exception("reporter_unavailable")
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
    log.error("reporter_answer_invalid", kind=type(answer).__name__)
    return Retry("the reporter gave an answer of an unknown type"), "fault"


async def _deliver(reporter: Reporter, delivery: Delivery) -> Answer:
    return await reporter.deliver(delivery)


def _kind(fault: BaseException) -> str:
    cause = fault.__cause__ if isinstance(fault, PluginFault) else None
    return type(cause or fault).__name__


def _secrets(hosted: HostedReporter, delivery: Delivery) -> tuple[Secret, ...]:
    """What a reporter's exception may contain: secrets of its settings, and the callback's headers."""
    headers = delivery.callback.headers if delivery.callback is not None else {}
    return secrets_of(hosted.settings) + tuple(Secret(value) for value in headers.values())
