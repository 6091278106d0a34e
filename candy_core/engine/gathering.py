"""The items of a claim on their way through the runner, gathered into calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import TypeAlias

from attrs import Factory, define

from candy_core.engine.preparing import HostedExecutor, Refusal, prepare
from candy_core.model.task import Outcome
from candy_core.ports.executor import Item
from candy_core.ports.planned_item import PlannedItem
from candy_core.ports.task_store import Claim


@define(eq=False)
class Part:
    """One item that runs. ``started`` and ``deadline`` are on the loop's clock, set when it gets its turn."""

    index: int
    planned: PlannedItem
    item: Item[object]
    started: float = 0.0
    deadline: float = 0.0
    attempt: int = 1


Queue: TypeAlias = "deque[list[Part]]"
Share: TypeAlias = "tuple[HostedExecutor, Hashable]"
"""An executor, and what the calls depend on (``ExecutorSpec.share_key``)."""


@define
class Gathered:
    """``calls`` by share, in the order of the items; ``refused`` items never run and have their outcome already."""

    calls: dict[Share, Queue]
    refused: list[tuple[Part, Outcome]]


def gather(claim: Claim, executors: Mapping[str, HostedExecutor]) -> Gathered:
    """Read the items' params, and put those with one batch key into one call of at most ``max_batch`` items.

    The items of a call have one timeout, too: an executor is told of one deadline, and paces itself by it.
    Those that ask the same besides (``question_key``) are one towards that, and always in the same call.
    """
    gathered = Gathered({}, [])
    open_batches: dict[tuple[HostedExecutor, Hashable], _Batch] = {}
    asked: dict[tuple[HostedExecutor, Hashable, Hashable], _Batch] = {}
    for index, planned in claim.items:
        found = Refusal(planned.verdict) if planned.verdict else prepare(planned, executors, claim.locale)
        if isinstance(found, Refusal):
            gathered.refused.append((_part(index, planned, None), found.outcome))
            continue
        hosted, params = found
        part = _part(index, planned, params)
        share = _key(hosted.spec.share_key, params)
        calls = gathered.calls.setdefault((hosted, share), deque())
        own = _key(hosted.spec.batch_key, params)
        if own is None:
            calls.append([part])
            continue
        key = (planned.timeout or claim.timeout, own)
        question = _key(hosted.spec.question_key, params)
        if question is not None and (batch := asked.get((hosted, key, question))) is not None:
            batch.parts.append(part)
            continue
        batch = open_batches.get((hosted, key))
        if batch is None or batch.size >= hosted.spec.max_batch:
            batch = open_batches[hosted, key] = _Batch()
            calls.append(batch.parts)
        if question is not None:
            asked[hosted, key, question] = batch
        batch.size += 1
        batch.parts.append(part)
    return gathered


def _part(index: int, planned: PlannedItem, params: object) -> Part:
    return Part(index, planned, Item(index=index, id=planned.id, name=planned.name, params=params))


@define(eq=False)
class _Batch:
    parts: list[Part] = Factory(list)
    size: int = 0
    """Different questions."""


def _key(key_of: Callable[[object], Hashable | None] | None, params: object) -> Hashable | None:
    if key_of is None:
        return None
    try:
        key = key_of(params)
        hash(key)
    except (Exception, SystemExit):  # noqa: BLE001  # a plugin's fault: the item goes alone, and meets the fault again where it runs
        return None
    return key
