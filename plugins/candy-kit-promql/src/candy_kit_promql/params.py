"""The params of a metric item (contract section 3)."""

from __future__ import annotations

from typing import Annotated

from attrs import frozen

from candy_core import ItemStatus, Meta, Threshold
from candy_kit_promql.batchable import Batchable, batchable
from candy_kit_promql.time_range import Range


@frozen(kw_only=True)
class MetricParams:
    """The params of a metric item. Only ``query`` is required.

    ``no_data`` is the status of an item whose answer is empty, whatever the reason. ``datasource`` names one of the
    configuration; an item never has a URL. ``instance_label`` is the label whose value names a series.
    """

    query: Annotated[str, Meta(min_length=1, max_length=1_000_000, pattern=r"\S")]
    threshold: Threshold | None = None
    critical: Threshold | None = None
    no_data: ItemStatus | None = None
    datasource: Annotated[str, Meta(min_length=1)] | None = None
    range: Range | None = None
    instance_label: Annotated[str, Meta(min_length=1)] = "instance"


def batch_key(params: MetricParams) -> tuple[str | None, str, Range | None] | tuple[str | None]:
    """Items of a task with the same key may share a request.

    The key is the datasource if the query may be part of a batch, else also the query and its range.
    """
    if params.range is None and batchable(params.query) is not Batchable.NO:
        return (params.datasource,)
    return (params.datasource, params.query, params.range)


def concurrency_key(params: MetricParams) -> str | None:
    """Items of one datasource share its connections, and wait for no other datasource."""
    return params.datasource


def dedup_key(params: MetricParams) -> tuple[str, Range | None]:
    """Items of a datasource with the same key share one query, whose answer is judged for each of them."""
    return (params.query, params.range)
