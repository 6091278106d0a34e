"""Whether an item can run here: its type is installed, and its params are what that type reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import frozen

from candy_core.codec import params_reader
from candy_core.errors import Invalid, Problem
from candy_core.hosting import Hosted
from candy_core.judging import item_sentences
from candy_core.model.task import ItemRequest, Locale, Outcome, Reason
from candy_core.ports.executor import BatchExecutor, Executor
from candy_core.ports.planned_item import PlannedItem

HostedExecutor: TypeAlias = Hosted[Executor[object] | BatchExecutor[object]]


@frozen
class RejectedItem:
    """An item that cannot run, and why: as its outcome, and as problems of the request that brought it."""

    outcome: Outcome
    problems: Sequence[Problem] = ()


def resolve_item(
    item: ItemRequest | PlannedItem, executors: Mapping[str, HostedExecutor], locale: Locale, *, path: str = "$"
) -> tuple[HostedExecutor, object] | RejectedItem:
    """The executor of an item, and its params as that executor's own class; ``path`` is the item's JSON path.

    Called at intake, and again where the item runs: by then it may be another agent, with other plugins. Where it is
    the same one, the params are not read twice.
    """
    hosted = executors.get(item.type)
    if hosted is None:
        sentence = item_sentences.unknown_type(locale, item.type, executors)
        return RejectedItem(Outcome.failed(Reason.UNKNOWN_TYPE, sentence), [Problem(f"{path}.type", sentence)])
    if isinstance(item, PlannedItem) and isinstance(item.read, hosted.spec.params):
        return hosted, item.read
    try:
        return hosted, params_reader.read(item.params, hosted.spec.params, path=f"{path}.params")
    except Invalid as invalid:
        sentence = item_sentences.bad_params(locale, invalid.problems)
        return RejectedItem(Outcome.failed(Reason.BAD_PARAMS, sentence), invalid.problems)
