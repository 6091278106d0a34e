"""The errors that plugins may raise and the REST API reports.

Each class has a ``code`` of contract section 1, which is stable and for machines. The message is one sentence for
people: where, what was expected, what to do. It never contains a secret, nor a value that might be one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from attrs import frozen


@frozen
class Problem:
    """One thing wrong with an input.

    ``path`` is a JSON path from the root of the input (``$.items[0].timeout``), or the name of a setting. ``message``
    says what was expected there and does not repeat the value.
    """

    path: str
    message: str


class CandyError(Exception):
    """The base class of the agent's errors."""

    code: ClassVar[str] = "internal"


class Invalid(CandyError):
    """An input has the wrong shape or wrong values. ``problems`` has *every* problem that was found."""

    code = "invalid"

    def __init__(self, problems: Iterable[Problem], detail: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(detail or "; ".join(f"{p.path}: {p.message}" for p in self.problems))


class BadJson(CandyError):
    """A text is not JSON within the limits of contract section 1."""

    code = "bad_json"


class Forbidden(CandyError):
    """The caller is known, but lacks the right to do this."""

    code = "forbidden"


class NotManaged(CandyError):
    """The agent does not manage the object, so it does not change it (contract section 5)."""

    code = "not_managed"


class NotFound(CandyError):
    """There is nothing of that name, or no longer."""

    code = "not_found"


class Conflict(CandyError):
    """The request contradicts the present state."""

    code = "conflict"


class Exists(CandyError):
    """An object of that name exists already."""

    code = "exists"


class Stale(CandyError):
    """The object has changed since the version that the caller read."""

    code = "stale"


class FieldConflict(CandyError):
    """A field of the object has another owner, which the message names."""

    code = "field_conflict"


class TaskEnded(CandyError):
    """The task has ended, so there is nothing left to cancel."""

    code = "ended"


class Retriable(CandyError):
    """Try again later. ``retry_after`` is a hint in seconds."""

    def __init__(self, detail: str, *, retry_after: float = 1.0) -> None:
        self.retry_after = retry_after
        super().__init__(detail)


class QueueFull(Retriable):
    """The queue of tasks is full, and nothing was accepted."""

    code = "queue_full"


class Draining(Retriable):
    """The agent is shutting down and accepts no new work."""

    code = "draining"


class Overloaded(Retriable):
    """A store or an agent has no capacity for this at the moment."""

    code = "overloaded"


class BackendUnavailable(Retriable):
    """A cluster, a CRD or a server that the request needs is unavailable."""

    code = "backend_unavailable"


class NotConfigured(CandyError):
    """A required setting is missing. The message names it."""

    code = "not_configured"


class SettingsError(CandyError):
    """The configuration cannot be used. The message is one line with the setting and what is allowed."""

    code = "bad_settings"
