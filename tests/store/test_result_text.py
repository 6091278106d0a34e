"""An item's result as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_core.codec import encode
from candy_core.model.secret import Secret
from candy_core.model.task import ItemStatus, Outcome
from candy_core.ports.planned_item import PlannedItem
from candy_core.store.result_text import result_text

TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
STATS = st.dictionaries(
    TEXTS,
    st.recursive(
        PLAIN | st.just(Secret("hidden")) | st.just(datetime(2026, 1, 1, tzinfo=UTC)) | st.sampled_from(ItemStatus),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@given(
    item=st.builds(PlannedItem, id=st.integers(-(2**63), 2**63 - 1) | TEXTS, type=TEXTS, name=TEXTS),
    outcome=st.builds(
        Outcome,
        status=st.sampled_from(ItemStatus),
        reason=TEXTS,
        value=TEXTS,
        message=TEXTS,
        details=TEXTS,
        stats=STATS,
    ),
    seconds=st.floats(0, 1e6),
)
def test_it_is_what_the_codec_writes_of_the_record(item: PlannedItem, outcome: Outcome, seconds: float) -> None:
    """Contract §2: the entries of `results`, with their keys in the order of the example."""
    assert result_text(item, outcome, seconds) == encode(item.result(outcome, seconds))


def test_what_is_no_json_is_refused() -> None:
    stats: Any = {"a": object()}
    with pytest.raises(TypeError):
        result_text(PlannedItem(id=1, type="t"), Outcome(status=ItemStatus.NORMAL, reason="ok", stats=stats))
