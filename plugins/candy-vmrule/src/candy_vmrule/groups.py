"""A group of a rule file, with all fields of a VMRule (``operator.victoriametrics.com/v1beta1``) with their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from attrs import frozen

from candy_core import Meta
from candy_kit_rules import Scalar

Header = Annotated[str, Meta(pattern="^[^:\\s]+:")]
"""An HTTP header on one line, ``Name: value``."""


@frozen(kw_only=True)
class VMRuleItem:
    """An alerting or a recording rule. ``update_entries_limit`` is how many of its evaluations vmalert keeps."""

    alert: str | None = None
    record: str | None = None
    expr: Scalar
    for_: Scalar | None = None
    keep_firing_for: Scalar | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    debug: bool | None = None
    update_entries_limit: int | None = None


@frozen(kw_only=True)
class VMGroup:
    """Rules that are evaluated in sequence, or ``concurrency`` of them at once.

    ``type`` is the language of the expressions: MetricsQL (``prometheus``, the default), ``graphite``, ``vlogs``.
    ``params`` and ``headers`` go to the datasource, ``notifier_headers`` to Alertmanager. ``tenant`` is for vmalert's
    enterprise version.
    """

    name: Annotated[str, Meta(min_length=1)]
    rules: tuple[VMRuleItem, ...]
    type: str | None = None
    interval: Scalar | None = None
    eval_offset: Scalar | None = None
    eval_delay: Scalar | None = None
    eval_alignment: bool | None = None
    concurrency: Annotated[int, Meta(ge=0)] | None = None
    limit: int | None = None
    labels: Mapping[str, str] | None = None
    tenant: Scalar | None = None
    params: Mapping[str, tuple[str, ...]] | None = None
    headers: tuple[Header, ...] | None = None
    notifier_headers: tuple[Header, ...] | None = None
