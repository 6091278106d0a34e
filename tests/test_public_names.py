"""What plugin authors import. A change here is a change of what others build on, and needs a changelog entry."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import importlib_metadata

import candy_core
import candy_core.task_store

NAMES = [
    "Absent",
    "Answer",
    "AnswerTooLarge",
    "Anything",
    "BackendUnavailable",
    "BadJson",
    "BatchExecutor",
    "Breach",
    "ByteLimits",
    "Callback",
    "CandyError",
    "Catalogue",
    "ClusterInfo",
    "ClusterProbe",
    "ClusterProbeSpec",
    "Conflict",
    "Delivered",
    "Delivery",
    "Event",
    "Executor",
    "ExecutorSpec",
    "Exists",
    "Expect",
    "FieldConflict",
    "Forbidden",
    "Health",
    "HttpClient",
    "HttpUrl",
    "Invalid",
    "Item",
    "ItemId",
    "ItemResult",
    "ItemStatus",
    "Json",
    "Locale",
    "Logger",
    "Meta",
    "Mismatch",
    "NotConfigured",
    "NotFound",
    "NotManaged",
    "Outcome",
    "Overloaded",
    "PluginContext",
    "Problem",
    "QueueFull",
    "Reason",
    "Refused",
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
    "StoredRule",
    "TaskEnded",
    "Threshold",
    "Version",
    "__version__",
    "dumps",
    "encode",
    "hookimpl",
    "item_sentences",
    "judge",
    "loads",
    "network_cause",
    "params_reader",
    "read_yaml",
    "sentence",
    "to_json",
    "tolerant_reader",
]

OF_TASK_STORES = [
    "Claim",
    "DeadLetter",
    "DeadLetterPage",
    "DeliveryClaim",
    "Ending",
    "ItemRecord",
    "LogEntry",
    "NewDelivery",
    "NewTask",
    "PlannedItem",
    "Progress",
    "Renewal",
    "StoreCounts",
    "StoreLimits",
    "Submitted",
    "TaskLog",
    "TaskPage",
    "TaskResult",
    "TaskState",
    "TaskStatus",
    "TaskStore",
    "TaskStoreSpec",
    "Until",
]


def test_the_public_names_are_these() -> None:
    assert sorted(candy_core.__all__) == NAMES
    assert list(candy_core.task_store.__all__) == OF_TASK_STORES, (
        "sorted, so that two people who add a name do not meet"
    )


def test_within_each_audience_the_names_are_sorted() -> None:
    """So that two people who add a name do not meet."""
    source = inspect.getsource(candy_core)
    groups = source[source.index("__all__") :].split("    # ")[1:]
    assert len(groups) > 5
    for group in groups:
        names = re.findall(r'"(\w+)"', group)
        assert names == sorted(names)


def test_every_public_name_is_there_and_documented() -> None:
    public = [(candy_core, name) for name in NAMES] + [(candy_core.task_store, name) for name in OF_TASK_STORES]
    for module, name in public:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name} has no docstring"


def test_the_version_is_that_of_the_distribution() -> None:
    assert importlib_metadata.version("candy-core") == candy_core.__version__


def test_what_plugin_authors_import_brings_no_web_server_along() -> None:
    code = "import candy_core, sys; print(*sorted({'aiohttp', 'kubernetes', 'asyncssh'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert answer.stdout.strip() == ""
