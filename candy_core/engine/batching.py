"""Batching: the items of a claim, put together into calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import TypeAlias

from attrs import Factory, define

from candy_core.engine.item_resolution import HostedExecutor, RejectedItem, resolve_item
from candy_core.model.task import Outcome
from candy_core.ports.executor import Item
from candy_core.ports.planned_item import PlannedItem
from candy_core.ports.task_store import Claim


@define(eq=False)
class RunningItem:
    """One item of a claim. ``started`` and ``deadline`` are on the loop's clock, set when it begins."""

    index: int
    planned: PlannedItem
    item: Item[object]
    started: float = 0.0
    deadline: float = 0.0
    attempt: int = 1


CallQueue: TypeAlias = "deque[list[RunningItem]]"
ConcurrencyKey: TypeAlias = "tuple[HostedExecutor, Hashable]"
"""An executor, and the key under which its calls are limited (``ExecutorSpec.concurrency_key``)."""


@define
class PlannedCalls:
    """``calls`` by concurrency key, in the order of the items; ``rejected`` items never run, and have their outcome."""

    calls: dict[ConcurrencyKey, CallQueue]
    rejected: list[tuple[RunningItem, Outcome]]


def plan_calls(claim: Claim, executors: Mapping[str, HostedExecutor]) -> PlannedCalls:
    """Read the items' params, and put those with one batch key into one call of at most ``max_batch`` items.

    The items of a call have one timeout, too: an executor is given one deadline, and paces itself by it.
    Those with one ``dedup_key`` besides count as one towards ``max_batch``, and always share a call.
    """
    plan = PlannedCalls({}, [])
    open_batches: dict[tuple[HostedExecutor, Hashable], _Batch] = {}
    known: dict[tuple[HostedExecutor, Hashable, Hashable], _Batch] = {}
    for index, planned in claim.items:
        found = RejectedItem(planned.verdict) if planned.verdict else resolve_item(planned, executors, claim.locale)
        if isinstance(found, RejectedItem):
            plan.rejected.append((_running(index, planned, None), found.outcome))
            continue
        hosted, params = found
        running = _running(index, planned, params)
        concurrency_key = _key(hosted.spec.concurrency_key, params)
        calls = plan.calls.setdefault((hosted, concurrency_key), deque())
        own = _key(hosted.spec.batch_key, params)
        if own is None:
            calls.append([running])
            continue
        key = (planned.timeout or claim.timeout, own)
        dedup = _key(hosted.spec.dedup_key, params)
        if dedup is not None and (batch := known.get((hosted, key, dedup))) is not None:
            batch.items.append(running)
            continue
        batch = open_batches.get((hosted, key))
        if batch is None or batch.size >= hosted.spec.max_batch:
            batch = open_batches[hosted, key] = _Batch()
            calls.append(batch.items)
        if dedup is not None:
            known[hosted, key, dedup] = batch
        batch.size += 1
        batch.items.append(running)
    return plan


def _running(index: int, planned: PlannedItem, params: object) -> RunningItem:
    return RunningItem(index, planned, Item(index=index, id=planned.id, name=planned.name, params=params))


@define(eq=False)
class _Batch:
    items: list[RunningItem] = Factory(list)
    size: int = 0
    """Items with different dedup keys."""


def _key(key_of: Callable[[object], Hashable | None] | None, params: object) -> Hashable | None:
    if key_of is None:
        return None
    try:
        key = key_of(params)
        hash(key)
    except (Exception, SystemExit):  # noqa: BLE001  # a plugin's fault: the item goes alone, and meets the fault again where it runs
        return None
    return key
