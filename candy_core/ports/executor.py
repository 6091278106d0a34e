"""Executors: what an item's ``type`` may name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar

from attrs import field, frozen

from candy_core.model.task import ItemId, Locale, Outcome
from candy_core.ports.context import Health, Logger, PluginContext

P = TypeVar("P")
"""A params class: attrs, frozen."""
S = TypeVar("S")
"""A settings class: attrs, frozen, every field with a default."""


@frozen(kw_only=True)
class Item(Generic[P]):
    """One item to be run. ``index`` is its place in the task's request, from 0."""

    index: int
    id: ItemId
    name: str
    params: P


@frozen(kw_only=True)
class Run:
    """The circumstances of one call.

    ``time`` is the instant of the task in Unix seconds, the same for all of its items, for a retry and for a takeover
    by another replica (contract section 2). ``deadline`` is on the clock of the running event loop.
    """

    task_id: str
    time: float
    locale: Locale
    deadline: float
    logger: Logger = field(repr=False)

    def remaining(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


class Executor(Protocol[P]):
    """Runs one item at a time; the core runs many of them side by side."""

    async def run(self, item: Item[P], run: Run) -> Outcome:
        """Run the item and say what was found.

        An expected failure (a server out of reach, a query refused) is an outcome with a reason, not an exception; an
        exception is a fault of the plugin and gives the item ``plugin_error``.

        Must end soon after it is canceled, which is how timeouts and cancels reach it: after 5 s it is abandoned.
        It may catch the cancellation to clean up and then return an outcome: the core keeps its ``value``, ``details``
        and ``stats``, and sets status, reason and message itself.
        """
        ...


class BatchExecutor(Protocol[P]):
    """Runs items that have the same ``batch_key`` in one call."""

    def run_batch(self, items: Sequence[Item[P]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        """Yield ``(item.index, outcome)`` for each item as soon as it is known, in any order.

        An item for which nothing was yielded when the iterator ends gets ``plugin_error``. ``run.deadline`` is the
        latest of the items' own; an item whose own has passed has its result already, and what comes later is dropped.
        """
        ...


def no_scopes(params: object) -> frozenset[str]:
    """The default for :attr:`ExecutorSpec.scopes`: nothing beyond ``tasks:write``."""
    return frozenset()


@frozen(kw_only=True)
class ExecutorSpec(Generic[P, S]):
    """Announces an executor.

    ``name`` is the item type on the wire and matches ``[a-z][a-z0-9_]*``; ``aliases`` are further spellings and free.
    ``scopes`` says what the caller's key must hold for these params; it is pure, and called at intake.
    ``batch_key`` gives items that may share one call the same key, ``None`` for an item that goes alone; where it is
    set, ``open`` yields a :class:`BatchExecutor`. ``max_batch`` bounds the items of one call, ``max_concurrent`` the
    calls at one time (``None``: the core's default). Items with the same ``batch_key`` and the same ``dedup_key``
    always share a call, however many they are, and count as one towards ``max_batch``: an executor sees equal items
    together, and can query once for all of them. ``concurrency_key`` names what a call depends on, such as one of
    several servers: ``max_concurrent``, or the core's default, then bounds the calls of each key separately, so that a
    hanging server holds up no calls to another. Items of one batch key have one concurrency key.
    """

    name: str
    params: type[P]
    settings: type[S]
    open: Callable[[PluginContext, S], AbstractAsyncContextManager[Executor[P] | BatchExecutor[P]]]
    aliases: tuple[str, ...] = ()
    scopes: Callable[[P], frozenset[str]] = no_scopes
    batch_key: Callable[[P], Hashable | None] | None = None
    dedup_key: Callable[[P], Hashable] | None = None
    concurrency_key: Callable[[P], Hashable] | None = None
    max_batch: int = 1
    max_concurrent: int | None = None
    check: Callable[[Any], Awaitable[Health]] | None = None
