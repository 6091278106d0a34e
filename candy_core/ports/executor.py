"""Executors run the items of one ``type``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar

from attrs import field, frozen

from candy_core.model.task import ItemId, Locale, Outcome
from candy_core.ports.context import Health, Logger, PluginContext

P = TypeVar("P")
"""The class of params: a frozen attrs class."""
S = TypeVar("S")
"""The class of settings: a frozen attrs class whose fields all have defaults."""


@frozen(kw_only=True)
class Item(Generic[P]):
    """One item to run. ``index`` is its index in the task's request, from 0."""

    index: int
    id: ItemId
    name: str
    params: P


@frozen(kw_only=True)
class Run:
    """The context of one call.

    ``time`` is the evaluation time of the task in Unix seconds. It is the same for all items of the task, for retries,
    and when another replica takes over (contract section 2). ``deadline`` is a time of the running event loop's clock.
    """

    task_id: str
    time: float
    locale: Locale
    deadline: float
    logger: Logger = field(repr=False)

    def remaining(self) -> float:
        """The seconds until the deadline, never negative."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


class Executor(Protocol[P]):
    """Runs one item per call. The core makes many calls at the same time."""

    async def run(self, item: Item[P], run: Run) -> Outcome:
        """Run the item and return its outcome.

        An expected failure (an unreachable server, a rejected query) is an outcome with a reason, not an exception. An
        exception is a fault of the plugin, and the item gets ``plugin_error``.

        At a timeout or a cancel the core cancels the call, which must then end soon: after 5 s it is abandoned. The
        call may catch the cancellation to clean up and return an outcome. The core keeps its ``value``, ``details`` and
        ``stats``, and sets status, reason and message itself.
        """
        ...


class BatchExecutor(Protocol[P]):
    """Runs several items with the same ``batch_key`` in one call."""

    def run_batch(self, items: Sequence[Item[P]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        """Yield ``(item.index, outcome)`` for each item as soon as it is known, in any order.

        An item without an outcome at the end of the iterator gets ``plugin_error``. ``run.deadline`` is the latest
        deadline of the items. An item whose own deadline has passed already has its result, so a later outcome is
        dropped.
        """
        ...


def no_scopes(params: object) -> frozenset[str]:
    """The default of :attr:`ExecutorSpec.scopes`: no scope beyond ``tasks:write``."""
    return frozenset()


@frozen(kw_only=True)
class ExecutorSpec(Generic[P, S]):
    """Announces an executor.

    ``name`` is the item type in requests and matches ``[a-z][a-z0-9_]*``. ``aliases`` are other spellings, of any form.
    ``scopes`` returns the scopes that the caller's key needs for given params. It is pure and called at intake.

    ``batch_key`` returns the same key for items that may share a call, and ``None`` for an item that must have its own.
    If it is set, ``open`` yields a :class:`BatchExecutor`. ``max_batch`` limits the items of one call. Items with the
    same ``batch_key`` and the same ``dedup_key`` always share a call and count as one towards ``max_batch``, so that an
    executor sees equal items together and can query once for all of them.

    ``max_concurrent`` limits the simultaneous calls (``None``: the core's default). ``concurrency_key`` names what a
    call depends on, such as one of several servers. The limit then applies to each key separately, so that a hanging
    server does not delay calls to another. All items with one batch key must have the same concurrency key.
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
