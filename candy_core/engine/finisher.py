"""Ends tasks: decides a task's status, and gives the store its end together with the deliveries of its result."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from candy_core.clock import Clock
from candy_core.judging import item_sentences
from candy_core.metrics import Metrics
from candy_core.model.task import Callback, LogEntry, Outcome, Progress, Reason, TaskState, TaskStatus
from candy_core.ports.context import Logger
from candy_core.ports.task_store import Claim, Ending, NewDelivery, TaskStore

SHUTDOWN = "Task canceled: the agent is shutting down"
"""Why tasks are cancelled that a shutdown leaves no time for."""


@frozen(kw_only=True)
class TaskFinisher:
    """Ends tasks that have nothing left to run. ``plan`` says which reporters get a task's result."""

    store: TaskStore
    plan: Callable[[str, Callback | None], tuple[NewDelivery, ...]]
    metrics: Metrics
    clock: Clock
    logger: Logger

    async def finish(self, claim: Claim) -> None:
        """End the task of a claim without items."""
        state = await self.store.read(claim.task_id)
        if state is None or state.status.ended:
            return
        ending = conclude(claim, state.progress, self.plan(claim.task_id, claim.callback))
        now = self.clock.now()
        detail = f"{ending.status}: {ending.message}"
        await self.store.append_log(
            claim.task_id, [LogEntry(time=now, level="info", event="task_ended", detail=detail)]
        )
        if await self.store.finish(claim.task_id, ending):
            self._count(ending, claim, state)
            self.logger.info("task_ended", task_id=claim.task_id, status=ending.status, message=ending.message)

    def _count(self, ending: Ending, claim: Claim, state: TaskState) -> None:
        self.metrics.tasks_ended.labels(ending.status).inc()
        if state.start_time is not None:
            self.metrics.task_seconds.observe(claim.timeout - claim.remaining)  # of no clock that may be set


def conclude(claim: Claim, progress: Progress, deliveries: tuple[NewDelivery, ...]) -> Ending:
    """What became of a task (contract section 2: the statuses, and the task's ``message``)."""
    left = progress.total - progress.done
    if claim.canceled is not None:
        sentence = (
            item_sentences.canceled_by_shutdown(claim.locale)
            if claim.canceled == SHUTDOWN
            else item_sentences.canceled(claim.locale)
        )
        fill = Outcome.failed(Reason.CANCELED, sentence)
        return Ending(status=TaskStatus.CANCELED, message=claim.canceled, fill=fill, deliveries=deliveries)
    sentence = item_sentences.cut_off(claim.locale, claim.timeout)
    fill = Outcome.failed(Reason.TIMEOUT, sentence)
    if claim.remaining <= 0 and (left or progress.failed):
        message = f"Task timed out after {claim.timeout:g} s"
        if left:
            message += f": {left} of {progress.total} items had no turn"
        return Ending(status=TaskStatus.FAILED, message=message, fill=fill, deliveries=deliveries)
    message = "Task completed"
    if progress.failed:
        message += " with some failures"
    elif progress.warning or progress.critical:
        message += " with some warnings"
    return Ending(status=TaskStatus.COMPLETED, message=message, fill=fill, deliveries=deliveries)
