"""An item on its way through a task store: as it is planned, and as its result is kept."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from candy_core.model.task import ItemId, ItemResult, ItemStatus, Json, Outcome


@frozen(kw_only=True)
class PlannedItem:
    """An item as intake left it. ``verdict`` is set where the core refused it: that is its result, it never runs."""

    id: ItemId
    type: str
    name: str = ""
    params: Mapping[str, Json] = field(factory=dict, repr=False)
    timeout: float | None = None
    retries: int = 0
    verdict: Outcome | None = None
    read: object = field(default=None, init=False, eq=False, repr=False)
    """The params as the executor's own class, where this process has read them already. No store has to keep it."""

    def with_read(self, params: object) -> PlannedItem:
        """The same item, which remembers what its params were read as."""
        object.__setattr__(self, "read", params)
        return self

    def result(self, outcome: Outcome, seconds: float = 0.0) -> ItemResult:
        """What was asked, and what came of it after ``seconds``."""
        return ItemResult(
            item_id=self.id,
            name=self.name,
            type=self.type,
            status=outcome.status,
            reason=outcome.reason,
            value=outcome.value,
            message=outcome.message,
            details=outcome.details,
            stats=outcome.stats,
            duration=round(seconds * 1000),
        )


@frozen
class ItemRecord:
    """An item's result as a store keeps it: by the item's index, and as the JSON text of an :class:`ItemResult`.

    ``status`` is what stands in the text, for the task's progress.
    """

    index: int
    status: ItemStatus
    text: bytes = field(repr=False)
