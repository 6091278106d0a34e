"""Reporters deliver results."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from attrs import field, frozen
from attrs.validators import instance_of, optional

from candy_core.errors import Problem
from candy_core.model.task import Callback, Event
from candy_core.ports.context import Health, PluginContext

S = TypeVar("S")


@frozen(kw_only=True)
class Delivery:
    """One document for one reporter.

    ``id`` is the same for every attempt. ``document`` is JSON in UTF-8: the result object for ``ended``, the status
    object for the other events. ``attempt`` counts from 1.
    """

    id: str
    task_id: str
    reporter: str
    event: Event
    callback: Callback | None
    document: bytes = field(repr=False)
    created_at: datetime
    attempt: int = 1


@frozen
class Delivered:
    """The delivery has arrived."""

    detail: str = field(default="", validator=instance_of(str))


@frozen
class Retry:
    """Try again ``after`` seconds, or with the core's backoff if ``None``. ``why``: a few words without secrets."""

    why: str = field(validator=instance_of(str))
    after: float | None = field(default=None, validator=optional(instance_of((int, float))))
    blocked: bool = False
    """Whether no delivery can succeed until an operator acts (a key was rejected). ``/ready`` shows it."""


@frozen
class Refused:
    """The delivery can never succeed and becomes a dead letter."""

    why: str = field(validator=instance_of(str))


Answer: TypeAlias = Delivered | Retry | Refused


class Reporter(Protocol):
    """Delivers one document per call. The core handles queueing, retries and dead letters."""

    async def deliver(self, delivery: Delivery) -> Answer:
        """Try once. A network error is a :class:`Retry`, not an exception."""
        ...


def no_problems(context: PluginContext, settings: object, callback: Callback) -> Sequence[Problem]:
    """The default of :attr:`ReporterSpec.check_callback`."""
    return ()


def wants_all(context: PluginContext, settings: object, callback: Callback | None) -> bool:
    """The default of :attr:`ReporterSpec.wants`."""
    return True


@frozen(kw_only=True)
class ReporterSpec(Generic[S]):
    """Announces a reporter.

    ``formats`` are the values of a task's ``callback.format`` that the reporter handles (a task's default is
    ``candy``). A reporter without formats gets every task. ``wants`` returns, without I/O, whether a task has a
    destination. ``check_callback`` checks the callback of a task at intake; the paths of its problems start at the
    callback (``$.url``). ``max_age`` returns the age in seconds at which a delivery is given up.
    """

    name: str
    settings: type[S]
    open: Callable[[PluginContext, S], AbstractAsyncContextManager[Reporter]]
    formats: tuple[str, ...] = ()
    wants: Callable[[PluginContext, S, Callback | None], bool] = wants_all
    check_callback: Callable[[PluginContext, S, Callback], Sequence[Problem]] = no_problems
    max_age: Callable[[S], float] = lambda settings: 24 * 3600.0
    check: Callable[[Any], Awaitable[Health]] | None = None
