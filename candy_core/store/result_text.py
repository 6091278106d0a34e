"""An item's result as JSON, written once: from then on it is passed along as these bytes."""

from __future__ import annotations

from candy_core.codec import dumps, to_json
from candy_core.model.task import Outcome
from candy_core.ports.planned_item import PlannedItem

_PLAIN = frozenset({str, int, float, bool, type(None)})


def result_text(item: PlannedItem, outcome: Outcome, seconds: float = 0.0) -> bytes:
    """``encode(item.result(outcome, seconds))``, without the records in between, since there is one per item.

    Raises ``TypeError`` for ``stats`` that are not JSON.
    """
    stats = outcome.stats
    plain = type(stats) is dict and all(type(value) in _PLAIN for value in stats.values())
    return dumps(
        {
            "item_id": item.id,
            "status": outcome.status,
            "value": outcome.value,
            "message": outcome.message,
            "details": outcome.details,
            "duration": round(seconds * 1000),
            "name": item.name,
            "type": item.type,
            "reason": outcome.reason,
            "stats": stats if plain else to_json(stats),
        }
    )
