"""What the executors for Prometheus' query API share: the client, judging, and why an answer is empty."""

from candy_kit_promql.client import Endpoint, open_endpoints
from candy_kit_promql.datasource import MAX_BATCH, Datasource, MetricSettings
from candy_kit_promql.dialect import PROMETHEUS, Dialect
from candy_kit_promql.duration import Duration
from candy_kit_promql.emptiness import AbsenceProbe
from candy_kit_promql.executor import MetricExecutor, open_executor
from candy_kit_promql.failure import QueryFailed
from candy_kit_promql.large_answer import LargeAnswerLock
from candy_kit_promql.params import MetricParams, batch_key, concurrency_key, dedup_key
from candy_kit_promql.parsing import QueryTooDeep, parse_query, without_strings
from candy_kit_promql.probes import BlindProbe, CountProbe, SeriesProbe
from candy_kit_promql.selectors import Selection, Selector, selection_of
from candy_kit_promql.time_range import Range, Reduce
from candy_kit_promql.wire import UNREADABLE, QueryData, Reply

__all__ = [
    "MAX_BATCH",
    "PROMETHEUS",
    "UNREADABLE",
    "AbsenceProbe",
    "BlindProbe",
    "CountProbe",
    "Datasource",
    "Dialect",
    "Duration",
    "Endpoint",
    "LargeAnswerLock",
    "MetricExecutor",
    "MetricParams",
    "MetricSettings",
    "QueryData",
    "QueryFailed",
    "QueryTooDeep",
    "Range",
    "Reduce",
    "Reply",
    "Selection",
    "Selector",
    "SeriesProbe",
    "batch_key",
    "concurrency_key",
    "dedup_key",
    "open_endpoints",
    "open_executor",
    "parse_query",
    "selection_of",
    "without_strings",
]
