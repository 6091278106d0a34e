"""What the executors for Prometheus' query API share: the client, the judging, and why an answer is empty."""

from candy_kit_promql.client import Endpoint
from candy_kit_promql.datasource import MAX_BATCH, Datasource, MetricSettings
from candy_kit_promql.dialect import PROMETHEUS, Dialect
from candy_kit_promql.duration import Duration
from candy_kit_promql.emptiness import AbsenceProbe
from candy_kit_promql.executor import MetricExecutor, open_executor
from candy_kit_promql.failure import QueryFailed
from candy_kit_promql.large import Turn
from candy_kit_promql.marking import Marks
from candy_kit_promql.params import MetricParams, batch_key, concurrency_key, dedup_key
from candy_kit_promql.probes import BlindProbe, CountProbe, SeriesProbe
from candy_kit_promql.selectors import Selection, Selector, selection_of
from candy_kit_promql.stretch import Range, Reduce

__all__ = [
    "MAX_BATCH",
    "PROMETHEUS",
    "AbsenceProbe",
    "BlindProbe",
    "CountProbe",
    "Datasource",
    "Dialect",
    "Duration",
    "Endpoint",
    "Marks",
    "MetricExecutor",
    "MetricParams",
    "MetricSettings",
    "QueryFailed",
    "Range",
    "Reduce",
    "Selection",
    "Selector",
    "SeriesProbe",
    "Turn",
    "batch_key",
    "concurrency_key",
    "dedup_key",
    "open_executor",
    "selection_of",
]
