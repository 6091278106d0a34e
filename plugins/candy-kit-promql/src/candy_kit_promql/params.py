"""The params of a metric item (contract section 3)."""

from __future__ import annotations

from typing import Annotated

from attrs import frozen
from msgspec import Meta

from candy_core import ItemStatus, Threshold
from candy_kit_promql.joining import Joining, joining
from candy_kit_promql.stretch import Range


@frozen(kw_only=True)
class MetricParams:
    """What a metric item is told. ``query`` alone is required.

    ``no_data`` is the status of an item whose answer is empty, whatever the reason. ``datasource`` names one of the
    configuration; an item never brings a URL. ``instance_label`` is the label by which a series is called.
    """

    query: Annotated[str, Meta(min_length=1, max_length=1_000_000, pattern=r"\S")]
    threshold: Threshold | None = None
    critical: Threshold | None = None
    no_data: ItemStatus | None = None
    datasource: Annotated[str, Meta(min_length=1)] | None = None
    range: Range | None = None
    instance_label: Annotated[str, Meta(min_length=1)] = "instance"


def batch_key(params: MetricParams) -> tuple[str | None, str, Range | None] | tuple[str | None]:
    """Items of a task with the same key may be asked in one request.

    Those whose query may join others share the datasource; the rest only what asks the same.
    """
    if params.range is None and joining(params.query) is not Joining.ALONE:
        return (params.datasource,)
    return (params.datasource, params.query, params.range)


def concurrency_key(params: MetricParams) -> str | None:
    """Items of one datasource share its connections, and wait for no other's."""
    return params.datasource


def dedup_key(params: MetricParams) -> tuple[str, Range | None]:
    """Items of a datasource with the same key ask the same question: it is asked once, and judged for each."""
    return (params.query, params.range)
