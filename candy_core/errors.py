"""What can go wrong, as kinds that a plugin may raise and the REST layer can name.

Every kind carries the ``code`` of contract section 1, a stable machine word. The message is one sentence for
people: who, where, what was expected, what to do. It never holds a secret, and never echoes a value that might be one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from attrs import frozen


@frozen
class Problem:
    """One thing wrong with an input.

    ``path`` is a JSON path from the root of what was given (``$.items[0].timeout``), or the name of a setting;
    ``message`` says what was expected there, without repeating the value.
    """

    path: str
    message: str


class CandyError(Exception):
    """The root of every error that is part of the agent's own vocabulary."""

    code: ClassVar[str] = "internal"


class Invalid(CandyError):
    """An input that does not have the shape or the values it must have; lists *every* problem found."""

    code = "invalid"

    def __init__(self, problems: Iterable[Problem], detail: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(detail or "; ".join(f"{p.path}: {p.message}" for p in self.problems))


class BadJson(CandyError):
    """A text that is not JSON as contract section 1 draws its bounds."""

    code = "bad_json"


class Forbidden(CandyError):
    """The caller is known and may not do this."""

    code = "forbidden"


class NotManaged(CandyError):
    """An object that the agent does not own, and so does not touch (contract section 5)."""

    code = "not_managed"


class NotFound(CandyError):
    """Nothing goes by that name here, or not any more."""

    code = "not_found"


class Conflict(CandyError):
    """The request contradicts something that already holds."""

    code = "conflict"


class Exists(CandyError):
    """An object of that name is already there."""

    code = "exists"


class Stale(CandyError):
    """The object has changed since the version that the caller had read."""

    code = "stale"


class FieldConflict(CandyError):
    """Somebody else owns a field of the object; the message names the owner."""

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
    """The queue of tasks is at its bound; nothing was accepted."""

    code = "queue_full"


class Draining(Retriable):
    """The agent is on its way out and takes no new work."""

    code = "draining"


class Overloaded(Retriable):
    """A store or an agent with no room for this right now."""

    code = "overloaded"


class BackendUnavailable(Retriable):
    """A cluster, a CRD or a server that the request needs cannot be had."""

    code = "backend_unavailable"


class NotConfigured(CandyError):
    """A capability that lacks a setting it cannot work without; the message names the setting."""

    code = "not_configured"


class SettingsError(CandyError):
    """A configuration that cannot be used; one line that names the setting and what is allowed."""

    code = "bad_settings"
