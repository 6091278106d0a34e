"""Tasks, items and results (contract section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from attrs import Factory, field, frozen
from attrs.validators import instance_of
from msgspec import Meta

if TYPE_CHECKING:
    Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
    """A JSON value in Python."""
else:
    Json = Any  # the codec passes it through unchanged

ItemId: TypeAlias = int | Annotated[str, Meta(min_length=1, max_length=128)]
"""An item's id, chosen by the caller: an integer of 64 bits or 1 to 128 characters."""

TASK_ID_PATTERN = r"^(?!\.{1,2}$)[A-Za-z0-9._:-]{1,128}$"
"""Contract section 1: 1 to 128 of these characters, but not ``.`` or ``..``."""


class TaskStatus(StrEnum):
    """The state of a task."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def ended(self) -> bool:
        """Whether the task has ended."""
        return self not in (TaskStatus.PENDING, TaskStatus.RUNNING)


class ItemStatus(StrEnum):
    """The result of an item's check."""

    NORMAL = "normal"
    WARNING = "warning"
    CRITICAL = "critical"
    FAILED = "failed"


class Reason(StrEnum):
    """The machine-readable reason of an item's status. Plugins may add reasons, prefixed with their name."""

    OK = "ok"
    THRESHOLD_EXCEEDED = "threshold_exceeded"
    SERIES_ABSENT = "series_absent"
    EMPTY_RESULT = "empty_result"
    NOT_A_NUMBER = "not_a_number"
    PARTIAL_RESPONSE = "partial_response"
    QUERY_REJECTED = "query_rejected"
    BAD_RESPONSE = "bad_response"
    TOO_LARGE = "too_large"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CANCELED = "canceled"
    UNKNOWN_TYPE = "unknown_type"
    BAD_PARAMS = "bad_params"
    NOT_CONFIGURED = "not_configured"
    NOT_ALLOWED = "not_allowed"
    EXIT_CODE = "exit_code"
    OUTPUT_MATCHED = "output_matched"
    HOST_KEY_MISMATCH = "host_key_mismatch"
    AUTH_FAILED = "auth_failed"
    PLUGIN_ERROR = "plugin_error"


class Locale(StrEnum):
    """The language of the sentences in a task's results."""

    ZH_CN = "zh_CN"
    EN = "en"


class Event(StrEnum):
    """The events of a callback (contract section 4, ``callback.events``)."""

    ENDED = "ended"
    STARTED = "started"
    PROGRESS = "progress"


@frozen(kw_only=True)
class Callback:
    """The destination and format of a task's own callback (contract section 4)."""

    url: str | None = None
    headers: Mapping[str, str] = Factory(dict)
    params: Mapping[str, Json] | None = None
    format: str = "candy"
    events: tuple[Event, ...] = (Event.ENDED,)


@frozen(kw_only=True)
class ItemRequest:
    """One item of a request. ``timeout`` is in seconds from the item's own start."""

    id: ItemId
    type: str
    name: str = ""
    params: Mapping[str, Json] = Factory(dict)
    timeout: Annotated[float, Meta(gt=0, le=86400)] | None = None
    retries: Annotated[int, Meta(ge=0, le=10)] = 0


@frozen(kw_only=True)
class TaskRequest:
    """The request of a task. ``timeout`` is in seconds from the start of the run."""

    items: Annotated[tuple[ItemRequest, ...], Meta(min_length=1, max_length=10000)]
    task_id: Annotated[str, Meta(pattern=TASK_ID_PATTERN)] | None = None
    timeout: Annotated[float, Meta(gt=0, le=86400)] = 300.0
    priority: Annotated[int, Meta(ge=0, le=9)] = 5
    locale: Locale = Locale.ZH_CN
    callback: Callback | None = None


@frozen(kw_only=True)
class Outcome:
    """What an executor returns for one item.

    ``value`` is a string, ``""`` if there is none. ``reason`` is a :class:`Reason` or a plugin's own with its prefix.
    Other types raise ``TypeError`` here, where a plugin's author sees the line. Converted later, a NaN or a ``None``
    would be reported as a value.
    """

    status: ItemStatus = field(validator=instance_of(ItemStatus))
    reason: str = field(validator=instance_of(str))
    value: str = field(default="", validator=instance_of(str))
    message: str = field(default="", validator=instance_of(str))
    details: str = field(default="", validator=instance_of(str))
    stats: Mapping[str, Json] = Factory(dict)

    @classmethod
    def failed(cls, reason: str, message: str, details: str = "") -> Outcome:
        """The outcome of an item that could not be judged. ``message`` says why in one sentence."""
        return cls(status=ItemStatus.FAILED, reason=reason, message=message, details=details)


@frozen(kw_only=True)
class ItemResult:
    """One entry of ``results``. ``duration`` is in whole milliseconds."""

    item_id: ItemId
    status: ItemStatus
    value: str
    message: str
    details: str
    duration: int
    name: str
    type: str
    reason: str
    stats: Mapping[str, Json]


@frozen(kw_only=True)
class Progress:
    """The numbers of items. ``done`` is the sum of the four statuses."""

    total: int
    done: int = 0
    running: int = 0
    normal: int = 0
    warning: int = 0
    critical: int = 0
    failed: int = 0


@frozen(kw_only=True)
class TaskState:
    """A task's status object."""

    task_id: str
    status: TaskStatus
    message: str
    start_time: datetime | None
    end_time: datetime | None
    priority: int
    progress: Progress


@frozen(kw_only=True)
class TaskResult:
    """A task's result object (contract section 2, "Result object")."""

    task_id: str
    status: TaskStatus
    results: tuple[ItemResult, ...]
    start_time: datetime | None
    end_time: datetime | None
    message: str


@frozen(kw_only=True)
class LogEntry:
    """One entry of a task's execution log. ``item_id`` is ``None`` for events of the task itself."""

    time: datetime
    level: str
    event: str
    item_id: ItemId | None = None
    detail: str = ""


@frozen(kw_only=True)
class TaskLog:
    """A task's execution log, oldest first. ``dropped`` counts the entries beyond its limit."""

    task_id: str
    entries: tuple[LogEntry, ...]
    dropped: int


@frozen(kw_only=True)
class DeadLetter:
    """A delivery that was given up and is kept, so that it can be sent again."""

    id: str
    task_id: str
    reporter: str
    attempts: int
    reason: str
    created_at: datetime
    given_up_at: datetime
