"""What plugin authors import. A change here is a change of what others build on, and needs a changelog entry."""

from __future__ import annotations

import inspect
import subprocess
import sys

import importlib_metadata

import candy_core

NAMES = [
    "Absent",
    "Answer",
    "Anything",
    "BackendUnavailable",
    "BadJson",
    "BatchExecutor",
    "Breach",
    "ByteLimits",
    "Callback",
    "CandyError",
    "Catalogue",
    "Claim",
    "ClusterInfo",
    "ClusterProbe",
    "ClusterProbeSpec",
    "Conflict",
    "DeadLetter",
    "DeadLetterPage",
    "Delivered",
    "Delivery",
    "DeliveryClaim",
    "Ended",
    "Ending",
    "Event",
    "Executor",
    "ExecutorSpec",
    "Exists",
    "Expect",
    "FieldConflict",
    "Forbidden",
    "Health",
    "HttpUrl",
    "Invalid",
    "Item",
    "ItemId",
    "ItemRecord",
    "ItemResult",
    "ItemStatus",
    "Json",
    "Locale",
    "LogEntry",
    "Logger",
    "Mismatch",
    "NewDelivery",
    "NewTask",
    "NotConfigured",
    "NotFound",
    "NotManaged",
    "Outcome",
    "Overloaded",
    "PlannedItem",
    "PluginContext",
    "Problem",
    "Progress",
    "QueueFull",
    "Reason",
    "Refused",
    "Renewal",
    "Reporter",
    "ReporterSpec",
    "Retry",
    "Rule",
    "RuleBackend",
    "RuleBackendSpec",
    "RulePage",
    "RuleRef",
    "Run",
    "Sample",
    "Secret",
    "SettingsError",
    "Stale",
    "StoreCounts",
    "StoreLimits",
    "StoredRule",
    "Submitted",
    "TaskLog",
    "TaskPage",
    "TaskResult",
    "TaskState",
    "TaskStatus",
    "TaskStore",
    "TaskStoreSpec",
    "Threshold",
    "Until",
    "Version",
    "__version__",
    "dumps",
    "encode",
    "hookimpl",
    "item_sentences",
    "judge",
    "loads",
    "params_reader",
    "sentence",
    "to_json",
    "tolerant_reader",
]


def test_the_public_names_are_these() -> None:
    assert sorted(candy_core.__all__) == NAMES
    assert list(candy_core.__all__) == NAMES, "sorted, so that two people who add a name do not meet"


def test_every_public_name_is_there_and_documented() -> None:
    for name in candy_core.__all__:
        value = getattr(candy_core, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name} has no docstring"


def test_the_version_is_that_of_the_distribution() -> None:
    assert importlib_metadata.version("candy-core") == candy_core.__version__


def test_what_plugin_authors_import_brings_no_web_server_along() -> None:
    code = "import candy_core, sys; print(*sorted({'aiohttp', 'kubernetes', 'asyncssh'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == ""
