"""A group of a rule file, with all fields of a PrometheusRule (``monitoring.coreos.com/v1``) with their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from attrs import frozen

from candy_core import Meta
from candy_kit_rules import Scalar


@frozen(kw_only=True)
class PrometheusRuleItem:
    """An alerting or a recording rule. ``keep_firing_for`` needs Prometheus 2.42."""

    alert: str | None = None
    record: str | None = None
    expr: Scalar
    for_: Scalar | None = None
    keep_firing_for: Scalar | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None


@frozen(kw_only=True)
class PrometheusGroup:
    """Rules that are evaluated in sequence.

    ``query_offset`` needs Prometheus 2.53 and ``labels`` 3.0; ``partial_response_strategy`` is for Thanos.
    """

    name: Annotated[str, Meta(min_length=1)]
    interval: Scalar | None = None
    labels: Mapping[str, str] | None = None
    limit: int | None = None
    partial_response_strategy: Annotated[str, Meta(pattern="^(?i:abort|warn)?$")] | None = None
    query_offset: Scalar | None = None
    rules: tuple[PrometheusRuleItem, ...] | None = None
