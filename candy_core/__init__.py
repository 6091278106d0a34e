"""What the author of a plugin imports. The names are grouped by what is being written.

What is listed in ``__all__`` is public and pinned by a test: it changes only with a changelog entry, and no name goes
away without a deprecation. Authors of task stores import from :mod:`candy_core.task_store` besides, and tests from
:mod:`candy_core.testing`. Every other module of this package is private.

``Meta`` is msgspec's: ``Annotated[int, Meta(ge=1, le=9)]`` bounds a field of a params or settings class. The core
checks the bound when it reads the field, and the OpenAPI document shows it.
"""

from msgspec import Meta

from candy_core.codec import Mismatch, dumps, encode, loads, params_reader, to_json, tolerant_reader
from candy_core.errors import (
    BackendUnavailable,
    BadJson,
    CandyError,
    Conflict,
    Exists,
    FieldConflict,
    Forbidden,
    Invalid,
    NotConfigured,
    NotFound,
    NotManaged,
    Overloaded,
    Problem,
    QueueFull,
    SettingsError,
    Stale,
    TaskEnded,
)
from candy_core.hookspecs import hookimpl
from candy_core.http_client import AnswerTooLarge, HttpClient, network_cause
from candy_core.judging import Breach, Catalogue, Sample, Threshold, item_sentences, judge, sentence
from candy_core.model.heartbeat import ClusterInfo
from candy_core.model.http_url import HttpUrl
from candy_core.model.rule import Rule, RulePage, RuleRef, StoredRule
from candy_core.model.secret import Secret
from candy_core.model.task import Callback, Event, ItemId, ItemResult, ItemStatus, Json, Locale, Outcome, Reason
from candy_core.ports.cluster_probe import ClusterProbe, ClusterProbeSpec
from candy_core.ports.context import ByteLimits, Health, Logger, PluginContext
from candy_core.ports.executor import BatchExecutor, Executor, ExecutorSpec, Item, Run
from candy_core.ports.reporter import Answer, Delivered, Delivery, Refused, Reporter, ReporterSpec, Retry
from candy_core.ports.rule_backend import Absent, Anything, Expect, RuleBackend, RuleBackendSpec, Version
from candy_core.version import __version__
from candy_core.yaml_reader import read_yaml

__all__ = [  # noqa: RUF022  # grouped by audience, sorted within a group
    # every plugin
    "ByteLimits",
    "Health",
    "Json",
    "Logger",
    "PluginContext",
    "Secret",
    "__version__",
    "hookimpl",
    # settings and params
    "HttpUrl",
    "Meta",
    "Mismatch",
    "Problem",
    "dumps",
    "encode",
    "loads",
    "params_reader",
    "read_yaml",
    "to_json",
    "tolerant_reader",
    # executors
    "BatchExecutor",
    "Executor",
    "ExecutorSpec",
    "Item",
    "ItemId",
    "ItemResult",
    "ItemStatus",
    "Locale",
    "Outcome",
    "Reason",
    "Run",
    # thresholds and sentences
    "Breach",
    "Catalogue",
    "Sample",
    "Threshold",
    "item_sentences",
    "judge",
    "sentence",
    # rule backends
    "Absent",
    "Anything",
    "Expect",
    "Rule",
    "RuleBackend",
    "RuleBackendSpec",
    "RulePage",
    "RuleRef",
    "StoredRule",
    "Version",
    # reporters
    "Answer",
    "Callback",
    "Delivered",
    "Delivery",
    "Event",
    "Refused",
    "Reporter",
    "ReporterSpec",
    "Retry",
    # cluster probes
    "ClusterInfo",
    "ClusterProbe",
    "ClusterProbeSpec",
    # outgoing HTTP
    "AnswerTooLarge",
    "HttpClient",
    "network_cause",
    # errors
    "BackendUnavailable",
    "BadJson",
    "CandyError",
    "Conflict",
    "Exists",
    "FieldConflict",
    "Forbidden",
    "Invalid",
    "NotConfigured",
    "NotFound",
    "NotManaged",
    "Overloaded",
    "QueueFull",
    "SettingsError",
    "Stale",
    "TaskEnded",
]
