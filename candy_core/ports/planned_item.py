"""An item in a task store: as planned, and as a result."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from candy_core.model.task import ItemId, ItemResult, ItemStatus, Json, Outcome


@frozen(kw_only=True)
class PlannedItem:
    """An item after intake. If the core rejected it, ``verdict`` is its result and it never runs."""

    id: ItemId
    type: str
    name: str = ""
    params: Mapping[str, Json] = field(factory=dict, repr=False)
    timeout: float | None = None
    retries: int = 0
    verdict: Outcome | None = None
    read: object = field(default=None, init=False, eq=False, repr=False)
    """The params in the executor's class, if this process has read them already. Stores need not keep it."""

    def with_read(self, params: object) -> PlannedItem:
        """The same item with its params in the executor's class."""
        object.__setattr__(self, "read", params)
        return self

    def result(self, outcome: Outcome, seconds: float = 0.0) -> ItemResult:
        """The result of the item with this outcome after ``seconds``."""
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
    """An item's result as a store keeps it: its index, and the JSON text of an :class:`ItemResult`.

    ``status`` is the status in that text, for the task's progress.
    """

    index: int
    status: ItemStatus
    text: bytes = field(repr=False)
