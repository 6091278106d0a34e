"""What the author of a task store imports beside :mod:`candy_core`: the port, its records, and what it keeps.

Every name in ``__all__`` is public, as those of :mod:`candy_core` are. An implementation passes the suite
:class:`candy_core.testing.task_store.TaskStoreSuite`.
"""

from candy_core.model.task import DeadLetter, LogEntry, Progress, TaskLog, TaskResult, TaskState, TaskStatus
from candy_core.ports.planned_item import ItemRecord, PlannedItem
from candy_core.ports.task_store import (
    Claim,
    DeadLetterPage,
    DeliveryClaim,
    Ending,
    NewDelivery,
    NewTask,
    Renewal,
    StoreCounts,
    StoreLimits,
    Submitted,
    TaskPage,
    TaskStore,
    TaskStoreSpec,
    Until,
)

__all__ = [
    "Claim",
    "DeadLetter",
    "DeadLetterPage",
    "DeliveryClaim",
    "Ending",
    "ItemRecord",
    "LogEntry",
    "NewDelivery",
    "NewTask",
    "PlannedItem",
    "Progress",
    "Renewal",
    "StoreCounts",
    "StoreLimits",
    "Submitted",
    "TaskLog",
    "TaskPage",
    "TaskResult",
    "TaskState",
    "TaskStatus",
    "TaskStore",
    "TaskStoreSpec",
    "Until",
]
